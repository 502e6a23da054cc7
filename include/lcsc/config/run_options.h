// [run]: where a search runs and how its ranks share the work. None of it changes a score.
#pragma once

#include <cstdint>
#include <string>

#include "lcsc/config/option_set.h"

namespace lcsc {

struct RunOptions {
  std::string directory;
  std::int64_t group_size = 1;
  std::int64_t threads = 0;
  std::int64_t queue_depth = 2;
  double snapshot_interval_s = 10;
};

void AddRunOptions(OptionSet& set, RunOptions& options);

}  // namespace lcsc
