// [run]: where a search runs and how its ranks share the work. None of it changes a score.
#pragma once

#include <cstdint>
#include <string>

#include "lcsc/config/option_set.h"

namespace lcsc {

struct RunOptions {
  std::string directory;
  std::int64_t group_size = 1;  // 0: from the memory plan
  double memory_budget = 0;     // GiB for each rank; 0: its share of what the machine has left
  std::int64_t threads = 0;
  std::int64_t queue_depth = 3;
  std::string overlap = "on";
  std::string collective = "auto";
  std::string merge = "cpu";
  std::string trace;  // a file, or "" for none; asked for each time, so no key of the config file
  double snapshot_interval_s = 60;
  double max_hours = 0;
  std::int64_t max_crashes = 2;
  double hang_timeout_s = 0;  // 0: from measured evaluation times
};

void AddRunOptions(OptionSet& set, RunOptions& options);

}  // namespace lcsc
