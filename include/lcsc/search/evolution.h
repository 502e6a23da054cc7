// The paper's Algorithm 1, with its generations or without.
#pragma once

#include <deque>
#include <map>
#include <memory>

#include "lcsc/config/search_options.h"
#include "lcsc/search/standings.h"
#include "lcsc/search/strategy.h"

namespace lcsc {

class EmaCandidates;

// Line 2-3: P starts with the EMA coefficients of several rates. Lines 4-13: in each of Epoch generations, Iter
// children: two different parents drawn uniformly from the top min(M_CP, |P|) of P; crossover (with probability
// crossover_rate each a_i, i >= 2, comes from either parent at random, otherwise all from the first); mutation
// (Gaussian noise on each a_i, i >= 2). Candidate ids run through the initial population, then generation by
// generation; child `id` takes its random numbers from the stream (search seed, id).
//
// generational (the paper): P changes only after Iter children have been told, so that neither the number of workers
// nor their speed changes the search.
// steady-state: P is what has been told at the moment of Ask, which waits only for a first score. A child's generation
// is what its id says and serves the decay of the mutation. Each candidate carries how many outcomes it had `seen`,
// each outcome its place in the `order`: from the two the same search can be done again, whatever the speed of those
// who evaluate (Restore does, and service/replay_pool.h).
//
// search.racing: once there are M_CP parents, children race (search/race.h). parents: against the last of them, so that
// the search is the one without racing as long as no stop was wrong. best: against the best score; one that is stopped
// takes its place among the parents by its estimated score, and one child in ten is evaluated whole.
class Evolution : public Strategy {
 public:
  // steps: the training iteration of each checkpoint, ascending, K >= 2.
  Evolution(const SearchOptions& options, std::vector<std::int64_t> steps);
  ~Evolution() override;
  // Goes on from what another strategy has found, in the place of EMA candidates. Its own ids begin with first_id, and
  // its population is its own children. REQUIRES: a founder has a score, and the ids of all are below first_id.
  struct Founders {
    std::vector<EvaluatedCandidate> population;
    std::int64_t first_id = 0;
  };
  Evolution(const SearchOptions& options, std::vector<std::int64_t> steps, Founders founders);

  std::optional<Candidate> Ask() override;
  void Tell(std::int64_t candidate_id, const Outcome& outcome) override;
  bool Finished() const override { return NumTold() >= planned_evaluations(); }
  std::int64_t planned_evaluations() const override;
  SearchState State() const override;
  void Restore(const SearchState& saved) override;

  // Standard deviation of the noise on each coefficient in generation t >= 1.
  double MutationStd(std::int64_t generation) const;

 private:
  // Founders and what there is room for before first_id count as told.
  std::int64_t NumTold() const { return founders_.first_id + static_cast<std::int64_t>(told_.size()); }
  std::int64_t NumInitial() const;
  std::int64_t FirstIdOf(std::int64_t generation) const;
  std::int64_t GenerationOf(std::int64_t id) const;
  // Whether what candidate `id` is drawn from is known.
  bool IsDue(std::int64_t id) const;
  Candidate Draw(std::int64_t id) const;
  Candidate Child(std::int64_t id) const;
  const Standings& Ranking() const { return steady_state_ ? best_ : ranking_; }
  void SetBars(Candidate& child) const;
  // Takes a saved candidate as asked for, in the moment in which it was.
  void Readmit(const Candidate& saved);
  void RestoreGenerations(const SearchState& saved);
  void RestoreOrder(const SearchState& saved);

  SearchOptions options_;
  std::unique_ptr<const EmaCandidates> initial_;
  Founders founders_;
  bool steady_state_;
  std::map<std::int64_t, EvaluatedCandidate> told_;
  std::map<std::int64_t, Candidate> asked_;  // asked for, not yet told
  std::deque<std::int64_t> again_;           // of those, the ones that a resumed search must ask for again
  std::int64_t next_id_;                     // none that follows has been drawn, unless it was restored as told
  std::int64_t generation_ = 0;              // all before it have been told
  Standings best_;                           // of those told
  Standings ranking_;                        // generational: best_ when the generation began
};

}  // namespace lcsc
