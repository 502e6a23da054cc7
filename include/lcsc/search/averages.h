// Coefficients of the averages that people take of a run's checkpoints without a search: what a search has to beat.
#pragma once

#include "lcsc/search/coefficients.h"

namespace lcsc {

// gamma >= 0 of the power-function profile whose standard deviation is sigma_rel times the length of the training
// (Karras et al. 2024, eq. 3):
//   sigma_rel = (gamma + 1)^(1/2) (gamma + 2)^(-1) (gamma + 3)^(-1/2).
// REQUIRES: 0 < sigma_rel <= kLargestSigmaRel, at which gamma is 0: the average over the whole training.
double PowerFunctionGamma(double sigma_rel);
constexpr double kLargestSigmaRel = 0.288675134594812;  // 12^(-1/2)

// Post-hoc EMA: what comes nearest to the power-function EMA at the last step t = n_K (Karras et al. 2024,
// section 3.1),
//   theta_gamma(t) = integral_0^t p(tau) theta(tau) dtau,   p(tau) = (gamma + 1) tau^gamma / t^(gamma + 1),
// among the combinations of the checkpoints. The paper's least squares match p by the profiles of what was saved. A raw
// checkpoint's profile is a Dirac impulse, which has no distance to p in L2; so checkpoint i stands for the training
// since the one before it: its profile is the box b_i(tau) = 1 / (n_i - n_{i-1}) on (n_{i-1}, n_i], n_0 = 0. Then
//   argmin_a integral_0^t (p(tau) - sum_i a_i b_i(tau))^2 dtau
// separates, for the boxes do not overlap:
//   a_i = <p, b_i> / <b_i, b_i> = integral_{n_{i-1}}^{n_i} p(tau) dtau = (n_i / t)^(gamma+1) - (n_{i-1} / t)^(gamma+1),
// and the sum is 1. What lies before the first checkpoint counts for it. Checkpoints that are averages themselves
// spread the profile by their own, which is not counted.
// steps: ascending, >= 0, the last > 0. sigma_rel: as above.
Coefficients PowerEmaCoefficients(double sigma_rel, std::span<const std::int64_t> steps);

// The average of the last `count` of K checkpoints. REQUIRES: 1 <= count <= K.
struct LastCheckpoints {
  std::size_t count;
  std::size_t num_checkpoints;
};
Coefficients UniformCoefficients(const LastCheckpoints& last);
// 2, 4, 8, ... below K, and K itself. REQUIRES: K >= 2.
std::vector<std::size_t> UniformCounts(std::size_t num_checkpoints);

// Every n-th checkpoint, counted back from the last; ascending.
struct EveryNth {
  std::size_t every;  // >= 1
  std::size_t num_checkpoints;
};
std::vector<std::size_t> CheckpointsOf(const EveryNth& choice);

}  // namespace lcsc
