#include "same_candidate.h"

#include <algorithm>
#include <cmath>

#include "lcsc/base/error.h"

namespace lcsc {

bool IsSameCandidate(const Candidate& expected, const Candidate& saved) {
  constexpr double kLastBits = 1e-9;
  const auto close = [](double a, double b) { return std::abs(a - b) <= kLastBits * std::max(1.0, std::abs(a)); };
  return expected.generation == saved.generation && expected.parents == saved.parents && expected.seen == saved.seen &&
         expected.noise_block == saved.noise_block && expected.wants_gradient == saved.wants_gradient &&
         std::equal(expected.coefficients.begin(), expected.coefficients.end(), saved.coefficients.begin(),
                    saved.coefficients.end(), close);
}

void RefuseOtherCandidate(std::int64_t id) {
  throw InputError("the saved candidate {} is not the one that these options give; was the run directory changed?", id);
}

}  // namespace lcsc
