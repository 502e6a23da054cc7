// The best of a search so far: those that parents are drawn from, and the witnesses of its races.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lcsc/search/race.h"

namespace lcsc {

class Standings {
 public:
  explicit Standings(std::int64_t max_parents) : max_parents_(static_cast<std::size_t>(max_parents)) {}

  // Counts a candidate in that has a score, or one that lost a race with what EstimatedScore makes of it; others not.
  // It must live on. of_race: the witnesses of its race.
  void Add(const EvaluatedCandidate& member, const Witnesses& of_race);

  std::size_t size() const { return parents_.size(); }
  bool is_full() const { return size() == max_parents_; }
  // The i-th best.
  const EvaluatedCandidate& parent(std::size_t i) const { return *parents_.at(i).member; }
  // Of the last parent.
  double last_score() const { return parents_.back().score; }
  // Of those that have scores. REQUIRES: one has.
  double best_score() const { return *best_->outcome.score; }
  // The latest of those that have scores, by id: chosen by nothing that a race is about.
  const Witnesses& witnesses() const { return witnesses_; }

 private:
  struct Parent {
    double score;  // or the estimate
    const EvaluatedCandidate* member;
  };

  std::size_t max_parents_;
  std::vector<Parent> parents_;  // best first
  const EvaluatedCandidate* best_ = nullptr;
  Witnesses witnesses_;
};

}  // namespace lcsc
