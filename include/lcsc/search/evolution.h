// The paper's Algorithm 1. Generational: P changes only after Iter children have been told.
#pragma once

#include <map>

#include "lcsc/config/search_options.h"
#include "lcsc/search/strategy.h"

namespace lcsc {

// Line 2-3: P starts with the EMA coefficients of several rates. Lines 4-13: in each of Epoch generations, Iter
// children: two different parents drawn uniformly from the top min(M_CP, |P|) of P; crossover (with probability
// crossover_rate each a_i, i >= 2, comes from either parent at random, otherwise all from the first); mutation
// (Gaussian noise on each a_i, i >= 2). Candidate ids run through the initial population, then generation by
// generation; child `id` draws from the random stream (search seed, id), so that neither the number of workers nor
// their speed changes it.
class Evolution : public Strategy {
 public:
  // steps: the training iteration of each checkpoint, ascending, K >= 2.
  Evolution(const SearchOptions& options, std::vector<std::int64_t> steps);

  std::optional<Candidate> Ask() override;
  void Tell(std::int64_t candidate_id, const Outcome& outcome) override;
  bool Finished() const override { return generation_ > options_.epochs; }
  std::int64_t planned_evaluations() const override;
  std::vector<EvaluatedCandidate> Population() const override;
  void Restore(const std::vector<EvaluatedCandidate>& population) override;

  // Standard deviation of the noise on each coefficient in generation t >= 1.
  double MutationStd(std::int64_t generation) const;

 private:
  std::int64_t FirstIdOf(std::int64_t generation) const;
  Candidate Initial(std::int64_t id) const;
  Candidate Child(std::int64_t id) const;
  void StartGeneration(std::int64_t generation);

  SearchOptions options_;
  std::vector<std::int64_t> steps_;
  std::vector<double> ema_rates_;
  std::map<std::int64_t, EvaluatedCandidate> told_;
  std::int64_t generation_ = 0;
  std::vector<const EvaluatedCandidate*> parents_;  // CP of the present generation, best first
  std::map<std::int64_t, Candidate> asked_;         // asked for, not yet told
};

}  // namespace lcsc
