// How a population became better.
#pragma once

#include <cstdint>
#include <vector>

#include "lcsc/search/candidate.h"

namespace lcsc {

// A candidate that was better than all before it.
struct Improvement {
  std::int64_t evaluations = 0;  // how many there were with it, in the order of the population
  const EvaluatedCandidate* member = nullptr;
};

// In the order of the population, into which they point; the last has the score of BestOf. As there, steps of a descent
// do not count.
std::vector<Improvement> ImprovementsOf(const std::vector<EvaluatedCandidate>& population);

}  // namespace lcsc
