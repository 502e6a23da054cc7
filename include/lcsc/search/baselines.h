// What weights people choose from a trajectory without a search, each family's best by its score.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lcsc/search/candidate.h"

namespace lcsc {

// One of a family, with its score.
struct BaselineChoice {
  std::string which;  // "step 1560", "EMA 0.9963", "sigma_rel 0.05", "last 8"
  Coefficients coefficients;
  Outcome outcome;
};

struct Baseline {
  std::string title;                    // "best EMA"
  BaselineChoice chosen;                // the best of `choices`; the first of them when none has a score
  std::vector<BaselineChoice> choices;  // all that were tried, in the order in which they were
};

// "last", "best", "ema", "posthoc", "uniform", "soup": last checkpoint; best single checkpoint; EMA with its rate
// searched; post-hoc EMA (search/averages.h); uniform average of the last m; greedy soup (search/greedy_soup.h).
const std::vector<std::string>& BaselineNames();
// "last,soup" -> names, each once, in the order of BaselineNames. Throws ConfigError that names the option and the
// nearest word.
std::vector<std::string> ParseBaselines(const std::string& text, const std::string& option);

struct BaselinePlan {
  std::vector<std::string> names;
  std::vector<std::int64_t> steps;  // of the checkpoints, ascending, K >= 2
  std::size_t every = 1;            // "best" and "soup" look at every n-th checkpoint, counted back from the last
  std::vector<double> ema_rates;    // for "ema", where no outcome is known yet
  std::vector<EvaluatedCandidate> known_emas = {};  // what a search knows of EMA candidates: taken instead of ema_rates
  std::vector<double> sigma_rels;                   // for "posthoc"
  std::size_t num_parallel = 1;                     // evaluations that are worth asking for at once; changes no result
};

// Scores of several coefficients, in the same order.
using EvaluateCoefficients = std::function<std::vector<Outcome>(const std::vector<Coefficients>&)>;

// The baselines of the plan, in its order. Asks for the families that do not depend on outcomes at once, then for the
// trials of the soup.
std::vector<Baseline> ChooseBaselines(const BaselinePlan& plan, const EvaluateCoefficients& evaluate);

}  // namespace lcsc
