// How a distance between generated and real features changes with each generated feature: where a backward pass begins.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

#include "lcsc/metric/feature_statistics.h"

namespace lcsc {

// Of distances F that depend on the features through their mean and covariance, with G = dF/dCov symmetric:
//   dF/df_j = dF/dmean / n + 2 G (f_j - mean) / (n - 1)  =  matrix f_j + offset;
// of others, one row for each sample. A weighted sum of distances has both.
struct FeatureGradient {
  at::Tensor matrix;  // float64 [d, d], symmetric; undefined when no such distance is part of it
  at::Tensor offset;  // float64 [d]; likewise
  at::Tensor rows;    // float64 [n, d]; undefined when there are none

  // this += factor * other. REQUIRES: of the same samples.
  void Add(const FeatureGradient& other, double factor);
  // [m, d] in the features' type: the gradient with respect to the samples first, ..., first + m - 1.
  //   features: [m, d], theirs.
  at::Tensor Of(const at::Tensor& features, std::int64_t first) const;
};

// What a distance between Gaussians changes with.
struct GaussianGradient {
  at::Tensor mean;        // float64 [d]: dF/dmean
  at::Tensor covariance;  // float64 [d, d], symmetric: dF/dCov
};
// REQUIRES: n >= 2.
FeatureGradient FeatureGradientOf(const GaussianGradient& gradient, const FeatureStatistics& statistics);

}  // namespace lcsc
