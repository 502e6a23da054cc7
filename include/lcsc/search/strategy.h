// Strategies decide which candidates to try; they never know who evaluates them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lcsc/search/candidate.h"

namespace lcsc {

class Strategy {
 public:
  virtual ~Strategy() = default;

  // The next candidate to evaluate. nullopt: none before more outcomes are told, or finished.
  virtual std::optional<Candidate> Ask() = 0;
  // The outcome of a candidate that was asked for; in any order, each once.
  virtual void Tell(std::int64_t candidate_id, const Outcome& outcome) = 0;
  virtual bool Finished() const = 0;
  // All evaluations of the whole search.
  virtual std::int64_t planned_evaluations() const = 0;

  // Everything told so far, by id: together with the options it is the strategy's complete state.
  virtual std::vector<EvaluatedCandidate> Population() const = 0;
  // Continues from a saved population. What was asked for but never told is asked for again.
  // REQUIRES: fresh strategy, same options as the one that was saved. Throws InputError when a saved candidate is not
  // the one that these options give.
  virtual void Restore(const std::vector<EvaluatedCandidate>& population) = 0;
};

// Evaluates candidates one by one; may be shared by a whole group of ranks behind it.
class Evaluator {
 public:
  virtual ~Evaluator() = default;
  virtual Outcome Evaluate(const Candidate& candidate) = 0;
};

}  // namespace lcsc
