#include "lcsc/metric/feature_gradient.h"

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

void AddScaled(at::Tensor& sum, const at::Tensor& term, double factor) {
  if (!term.defined()) return;
  sum = sum.defined() ? sum.add(term, factor) : term * factor;
}

}  // namespace

void FeatureGradient::Add(const FeatureGradient& other, double factor) {
  AddScaled(matrix, other.matrix, factor);
  AddScaled(offset, other.offset, factor);
  AddScaled(rows, other.rows, factor);
}

at::Tensor FeatureGradient::Of(const at::Tensor& features, std::int64_t first) const {
  const at::Tensor exact = features.to(at::kDouble);
  at::Tensor gradient = at::zeros_like(exact);
  if (matrix.defined()) gradient = at::addmm(offset, exact, matrix);
  if (rows.defined()) gradient = gradient + rows.narrow(0, first, features.size(0));
  return gradient.to(features.scalar_type());
}

FeatureGradient FeatureGradientOf(const GaussianGradient& gradient, const FeatureStatistics& statistics) {
  LCSC_CHECK(statistics.count() >= 2);
  const auto n = static_cast<double>(statistics.count());
  FeatureGradient of_features;
  of_features.matrix = gradient.covariance * (2 / (n - 1));
  of_features.offset = gradient.mean / n - of_features.matrix.mv(statistics.Mean());
  return of_features;
}

}  // namespace lcsc
