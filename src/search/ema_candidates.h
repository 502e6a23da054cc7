// The initial population that all strategies share: EMA coefficients of several rates.
#pragma once

#include <map>
#include <vector>

#include "lcsc/config/search_options.h"
#include "lcsc/search/candidate.h"

namespace lcsc {

class EmaCandidates {
 public:
  // steps: the training iteration of each checkpoint, ascending, K >= 2. Throws ConfigError unless all rates are
  // below 1.
  EmaCandidates(const SearchOptions& options, std::vector<std::int64_t> steps);

  std::int64_t size() const { return static_cast<std::int64_t>(rates_.size()); }
  std::size_t num_checkpoints() const { return steps_.size(); }
  // REQUIRES: 0 <= id < size().
  Candidate At(std::int64_t id) const;

 private:
  std::vector<std::int64_t> steps_;
  std::vector<double> rates_;
};

// Those of an initial population that have a score, best first. Throws InputError when none has.
std::vector<const EvaluatedCandidate*> RankInitial(const std::map<std::int64_t, EvaluatedCandidate>& told);

}  // namespace lcsc
