// What `lcsc simulate` puts in the place of checkpoints, networks and images.
#pragma once

#include <cstdint>
#include <string>

#include "lcsc/config/option_set.h"

namespace lcsc {

struct SimulationOptions {
  std::int64_t checkpoints = 400;  // K
  std::string distribution = "lognormal";
  double mean_seconds = 0;  // of one evaluation; 0: none at all
  double cv = 0;            // coefficient of variation of the seconds
  std::int64_t seed = 1;    // of durations and of the hidden optimum
};

// As flags of the command: --checkpoints, --distribution, --mean-seconds, --cv, --simulation-seed.
void AddSimulationOptions(OptionSet& set, SimulationOptions& options);

}  // namespace lcsc
