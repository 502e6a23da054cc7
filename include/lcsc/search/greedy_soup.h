// Greedy soup (Wortsman et al. 2022, Recipe 1), for scores of which smaller is better.
#pragma once

#include <optional>

#include "lcsc/search/coefficients.h"

namespace lcsc {

// The soup begins with the best checkpoint. Every other, from better to worse, is added when the uniform average with
// it is not worse than the soup is. What happens depends on the scores alone, however many trials are asked for at
// once: those behind the first that is added were of another soup and are dropped.
class GreedySoup {
 public:
  // order: checkpoints of the trajectory's K, best first, each once, at least one. score: of the first.
  GreedySoup(std::vector<std::size_t> order, double score, std::size_t num_checkpoints);

  // The averages of the soup with each of the next checkpoints, at most `max_count`; empty: done.
  std::vector<Coefficients> Trials(std::size_t max_count) const;
  // Scores of the first so many of the Trials, in their order; nothing for one that failed, which adds nothing.
  void Tell(const std::vector<std::optional<double>>& scores);

  const std::vector<std::size_t>& ingredients() const { return ingredients_; }
  Coefficients coefficients() const { return AverageOf(ingredients_); }
  double score() const { return score_; }

 private:
  Coefficients AverageOf(const std::vector<std::size_t>& checkpoints) const;

  std::vector<std::size_t> order_;
  std::size_t next_ = 1;  // in order_: the first that has not been tried
  std::vector<std::size_t> ingredients_;
  double score_;
  std::size_t num_checkpoints_;
};

}  // namespace lcsc
