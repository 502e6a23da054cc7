// Covariance matrix adaptation, as pagmo2 has it.
#pragma once

#include <map>
#include <memory>

#include "lcsc/config/search_options.h"
#include "lcsc/search/strategy.h"

namespace lcsc {

class EmaCandidates;

// CMA-ES (Hansen 2006, "The CMA evolution strategy: a comparing review") on a_2..a_K; a_1 is implied. The EMA
// candidates come first, as in Evolution; the first distribution has the best of them for its mean and
// search.mutation_std / sqrt(K) for its standard deviation. search.children candidates are drawn in each of
// search.epochs generations, and the distribution changes when all of them have been told, so that neither the number
// of workers nor their speed changes the search. A candidate without a score ranks last in its generation.
//
// A saved search is told its outcomes again, generation by generation, from the same seed: work for K^3 operations a
// generation, none for workers.
class CmaEs : public Strategy {
 public:
  // steps: the training iteration of each checkpoint, ascending, K >= 2.
  CmaEs(const SearchOptions& options, std::vector<std::int64_t> steps);
  ~CmaEs() override;

  std::optional<Candidate> Ask() override;
  void Tell(std::int64_t candidate_id, const Outcome& outcome) override;
  bool Finished() const override { return generation_ > options_.epochs; }
  std::int64_t planned_evaluations() const override { return FirstIdOf(options_.epochs + 1); }
  SearchState State() const override;
  void Restore(const SearchState& saved) override;

 private:
  class Distribution;

  std::int64_t FirstIdOf(std::int64_t generation) const;
  // Candidate `id` of the present generation.
  Candidate Draw(std::int64_t id) const;
  void EndGeneration();

  SearchOptions options_;
  std::unique_ptr<const EmaCandidates> initial_;
  std::unique_ptr<Distribution> distribution_;  // null until all EMA candidates are told
  std::vector<std::vector<double>> points_;     // [children, K - 1]: a_2..a_K of the present generation
  std::map<std::int64_t, EvaluatedCandidate> told_;
  std::map<std::int64_t, Candidate> asked_;  // not yet told
  std::int64_t generation_ = 0;              // all before it have been told
};

}  // namespace lcsc
