// Kernel Inception distance (Bińkowski et al. 2018, eq. 4): the squared maximum mean discrepancy of features.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

#include "lcsc/metric/feature_gradient.h"
#include "lcsc/metric/mean_std.h"

namespace lcsc {

// The reference with the kernels among its own rows, summed once and used for every candidate.
class KidReference {
 public:
  // features: [m, d], m >= 2, of any floating-point type; shared, not copied: REQUIRES that nobody writes to them.
  // Throws MetricError (too few rows, not finite).
  explicit KidReference(const at::Tensor& features);

  // Unbiased estimate over all pairs with the kernel (x . y / d + 1)^3; float64. Can be negative.
  //   generated: [n, d], n >= 2, of any floating-point type.
  // Blocked: the memory needed does not grow with n m. Throws MetricError (d differs, too few rows, not finite).
  double Distance(const at::Tensor& generated) const;
  // Its derivatives with respect to each generated feature: rows [n, d]. Throws as Distance does.
  FeatureGradient Gradient(const at::Tensor& generated) const;

 private:
  at::Tensor features_;
  double mean_kernel_ = 0;  // over all pairs of two different rows
};

// Distance of a reference that is used once.
double KernelInceptionDistance(const at::Tensor& generated, const at::Tensor& reference);

struct KidSubsets {
  std::int64_t num_subsets = 100;
  std::int64_t subset_size = 1000;  // rows of each side; at most n and m
  std::uint64_t seed = 1;           // of the draw without replacement
};
// Mean and standard deviation (divided by num_subsets) over random subsets, as torch-fidelity reports it; the draws are
// our own, so the value agrees with theirs within its standard error.
MeanStd KernelInceptionDistance(const at::Tensor& generated, const at::Tensor& reference, const KidSubsets& subsets);

}  // namespace lcsc
