#include "lcsc/metric/feature_statistics.h"

#include <algorithm>
#include <cmath>

#include "lcsc/base/error.h"
#include "metric/symmetric.h"

namespace lcsc {
namespace {

// Rows turned into float64 together, in one buffer: as many as keep the rank-k update at full speed.
constexpr std::int64_t kSummedRows = 512;

}  // namespace

FeatureStatistics::FeatureStatistics(std::int64_t dim)
    : dim_(dim), packed_(at::zeros({1 + dim + dim * dim}, at::kDouble)) {
  LCSC_CHECK(dim >= 1);
}

void FeatureStatistics::Add(const at::Tensor& features) {
  if (features.dim() != 2 || features.size(1) != dim_) {
    throw MetricError("statistics of {} features were given features of shape [{}]; use one extractor for all images",
                      dim_, fmt::join(features.sizes().vec(), ", "));
  }
  at::Tensor sums = packed_.narrow(0, 1, dim_);
  at::Tensor outer_products = packed_.narrow(0, 1 + dim_, dim_ * dim_).view({dim_, dim_});
  const at::Tensor buffer = at::empty({std::min(kSummedRows, features.size(0)), dim_}, packed_.options());
  for (std::int64_t begin = 0; begin < features.size(0); begin += kSummedRows) {
    const std::int64_t end = std::min(begin + kSummedRows, features.size(0));
    const at::Tensor rows = buffer.narrow(0, 0, end - begin).copy_(features.slice(0, begin, end));
    sums.add_(rows.sum(0));
    AddOuterProducts(rows, outer_products);
  }
  packed_.narrow(0, 0, 1).add_(static_cast<double>(features.size(0)));
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
  return CovarianceOf(packed_.narrow(0, 1 + dim_, dim_ * dim_).view({dim_, dim_}), Mean(), n);
}

// A sum is finite only if all its terms are; a finite matrix whose sum overflows is looked at term by term.
bool FeatureStatistics::IsFinite() const {
  return std::isfinite(packed_.sum().item<double>()) || at::isfinite(packed_).all().item<bool>();
}

}  // namespace lcsc
