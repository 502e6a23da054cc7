#include "lcsc/metric/feature_statistics.h"

#include "lcsc/base/error.h"

namespace lcsc {

FeatureStatistics::FeatureStatistics(std::int64_t dim)
    : dim_(dim), packed_(at::zeros({1 + dim + dim * dim}, at::kDouble)) {
  LCSC_CHECK(dim >= 1);
}

void FeatureStatistics::Add(const at::Tensor& features) {
  if (features.dim() != 2 || features.size(1) != dim_) {
    throw MetricError("statistics of {} features were given features of shape [{}]; use one extractor for all images",
                      dim_, fmt::join(features.sizes().vec(), ", "));
  }
  const at::Tensor x = features.to(packed_.device(), at::kDouble);
  packed_.narrow(0, 0, 1).add_(static_cast<double>(x.size(0)));
  packed_.narrow(0, 1, dim_).add_(x.sum(0));
  packed_.narrow(0, 1 + dim_, dim_ * dim_).view({dim_, dim_}).addmm_(x.t(), x);
}

void FeatureStatistics::Merge(const FeatureStatistics& other) {
  if (other.dim_ != dim_) {
    throw MetricError("statistics of {} features cannot be merged with statistics of {}", dim_, other.dim_);
  }
  packed_.add_(other.packed_);
}

std::int64_t FeatureStatistics::count() const { return static_cast<std::int64_t>(packed_[0].item<double>()); }

at::Tensor FeatureStatistics::Mean() const { return packed_.narrow(0, 1, dim_) / packed_[0]; }

at::Tensor FeatureStatistics::Covariance() const {
  const double n = packed_[0].item<double>();
  if (n < 2) throw MetricError("a covariance of {} samples; at least 2 are needed", n);
  const at::Tensor mean = Mean();
  return (packed_.narrow(0, 1 + dim_, dim_ * dim_).view({dim_, dim_}) - n * mean.ger(mean)) / (n - 1);
}

bool FeatureStatistics::IsFinite() const { return at::isfinite(packed_).all().item<bool>(); }

}  // namespace lcsc
