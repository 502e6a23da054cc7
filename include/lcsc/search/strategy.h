// Strategies decide which candidates to try; they never know who evaluates them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "lcsc/config/search_options.h"
#include "lcsc/search/candidate.h"

namespace lcsc {

// What a strategy must find again to go on; together with its options it is its complete state.
struct SearchState {
  std::vector<EvaluatedCandidate> population;  // everything told, by id
  // Asked for and not yet told, by id, as far as they depend on more than the population; else empty.
  std::vector<Candidate> in_flight = {};
};

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

  virtual SearchState State() const = 0;
  std::vector<EvaluatedCandidate> Population() const { return State().population; }
  // Continues from a saved state. What was asked for but never told is asked for again.
  // REQUIRES: fresh strategy, same options as the one that was saved. Throws InputError when a saved candidate is not
  // the one that these options give.
  virtual void Restore(const SearchState& saved) = 0;
};

// The one that search.strategy names. steps: the training iteration of each checkpoint. Throws ConfigError when the
// options do not go together.
std::unique_ptr<Strategy> MakeStrategy(const SearchOptions& options, std::vector<std::int64_t> steps);
// Whether it asks for gradients.
bool WantsGradients(const SearchOptions& options);

}  // namespace lcsc
