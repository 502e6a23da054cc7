// Additive statistics of features: count, sum and sum of outer products in float64 (EDM's form, reduced once).
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace lcsc {

class FeatureStatistics {
 public:
  explicit FeatureStatistics(std::int64_t dim);
  // features: [n, dim], of any floating-point type; a block of rows at a time is turned into float64.
  void Add(const at::Tensor& features);
  // Adds the statistics of other samples. Throws MetricError when the dimension differs.
  void Merge(const FeatureStatistics& other);

  std::int64_t dim() const { return dim_; }
  std::int64_t count() const;
  // float64 [dim]
  at::Tensor Mean() const;
  // float64 [dim, dim], divided by n - 1. Throws MetricError when n < 2.
  at::Tensor Covariance() const;
  bool IsFinite() const;

  // The whole content as one float64 vector [1 + dim + dim * dim]: what travels in a reduction. Of the outer products
  // only the upper triangle counts.
  at::Tensor& packed() { return packed_; }
  const at::Tensor& packed() const { return packed_; }

 private:
  std::int64_t dim_;
  at::Tensor packed_;
};

}  // namespace lcsc
