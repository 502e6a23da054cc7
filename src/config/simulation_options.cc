#include "lcsc/config/simulation_options.h"

namespace lcsc {

void AddSimulationOptions(OptionSet& set, SimulationOptions& options) {
  set.Add({"", "checkpoints", "checkpoints", "K: the length of the coefficients"}, &options.checkpoints,
          {2, 1'000'000});
  set.Add({"", "mean_seconds", "s", "mean duration of an evaluation; 0 is the null evaluator, which returns at once"},
          &options.mean_seconds, {0, 1e9});
  set.Add({"", "cv", "", "coefficient of variation of the durations: standard deviation over mean"}, &options.cv,
          {0, 100});
  set.AddChoice({"", "distribution", "", "of the durations; pareto has a heavy tail"}, &options.distribution,
                {"constant", "lognormal", "pareto"});
  set.Add({"", "simulation_seed", "", "seed of the durations and of the optimum that is searched for"}, &options.seed,
          {0, std::numeric_limits<std::int64_t>::max()});
}

}  // namespace lcsc
