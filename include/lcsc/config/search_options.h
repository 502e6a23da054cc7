// [search]: the constants of the paper's Algorithm 1 and what the paper leaves open.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lcsc/config/option_set.h"

namespace lcsc {

struct SearchOptions {
  // evolution: Alg. 1; gradient: descents from the best EMA candidates (search/descent.h); hybrid: first these, then
  // evolution from where they were (search/hybrid.h); cma-es (search/cma_es.h)
  std::string strategy = "evolution";
  std::int64_t seed = 1;
  std::int64_t epochs = 100;      // Epoch of Alg. 1
  std::int64_t children = 20;     // Iter of Alg. 1
  std::int64_t max_parents = 10;  // M_CP of Alg. 1
  double crossover_rate = 0.5;    // probability that two parents are mixed; otherwise the child is one of them
  double mutation_std = 0.1;      // times 1 / sqrt(K): standard deviation of the noise on each coefficient
  double mutation_decay = 0;      // generations in which mutation_std halves; 0: never
  // generational: the children of one generation are drawn when all of the one before have been evaluated (Alg. 1);
  // steady-state: each is drawn from what is known at the moment
  std::string schedule = "generational";
  std::string restriction = "none";  // of a child's coefficients: none, convex, clip (search/coefficients.h)
  std::string racing = "off";        // off; what a child must still be able to become to go on: parents, best
  double race_risk = 0.01;           // that a candidate which would have become it is stopped
  std::int64_t gradient_steps = 30;  // of each descent
  double learning_rate = 0.05;       // Adam's, in units of a coefficient
  double momentum = 0.5;             // Adam's beta_1
  std::int64_t starts = 1;           // descents
  double regularisation = 0;         // of a descent, on the squared distance from its start
  std::int64_t backward_every = 1;   // one of so many batches is gone back through, in turn
  std::int64_t judge_every = 1;      // one of so many points has a score
  std::int64_t noise_blocks = 1;     // blocks of the noise that the gradients take turns with
  std::int64_t patience = 5;         // scores without improvement after which a descent goes back
  std::vector<double> ema_rates;     // per training iteration; empty: a grid that suits the window
};

void AddSearchOptions(OptionSet& set, SearchOptions& options);

}  // namespace lcsc
