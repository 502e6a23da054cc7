#include "lcsc/metric/frechet.h"

#include <algorithm>
#include <tuple>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

void Check(const GaussianStatistics& gaussian, const char* whose) {
  const at::Tensor& mean = gaussian.mean;
  const at::Tensor& covariance = gaussian.covariance;
  if (mean.dim() != 1 || covariance.dim() != 2 || covariance.size(0) != mean.size(0) ||
      covariance.size(1) != mean.size(0)) {
    throw MetricError(
        "the {} statistics have a mean of shape [{}] and a covariance of shape [{}]; expected [d] and [d, d]", whose,
        fmt::join(mean.sizes().vec(), ", "), fmt::join(covariance.sizes().vec(), ", "));
  }
  if (!at::isfinite(mean).all().item<bool>() || !at::isfinite(covariance).all().item<bool>()) {
    throw MetricError("the {} statistics are not finite; look for NaN in the features or the weights", whose);
  }
}

at::Tensor Symmetric(const at::Tensor& matrix) { return (matrix + matrix.t()) / 2; }

// C^1/2 of a positive semidefinite matrix; eigenvalues that rounding made negative count as 0.
at::Tensor SquareRoot(const at::Tensor& matrix) {
  const auto [values, vectors] = at::linalg_eigh(Symmetric(matrix));
  return (vectors * values.clamp_min(0).sqrt()).mm(vectors.t());
}

}  // namespace

GaussianStatistics GaussianOf(const FeatureStatistics& statistics) {
  return {statistics.Mean(), statistics.Covariance()};
}

FrechetReference::FrechetReference(const GaussianStatistics& reference) {
  Check(reference, "reference");
  mean_ = reference.mean.to(at::kDouble);
  covariance_ = reference.covariance.to(at::kDouble);
  sqrt_covariance_ = SquareRoot(covariance_);
}

double FrechetReference::Distance(const GaussianStatistics& generated) const {
  Check(generated, "generated");
  if (generated.mean.size(0) != dim()) {
    throw MetricError(
        "the reference has {} features, the generated images have {}; use the extractor that the "
        "reference was made with",
        dim(), generated.mean.size(0));
  }
  const at::Tensor covariance = generated.covariance.to(at::kDouble);
  const at::Tensor product = sqrt_covariance_.mm(covariance).mm(sqrt_covariance_);
  const at::Tensor eigenvalues = at::linalg_eigvalsh(Symmetric(product));
  const at::Tensor squared_means = (generated.mean.to(at::kDouble) - mean_).square().sum();
  const at::Tensor traces = covariance_.trace() + covariance.trace() - 2 * eigenvalues.clamp_min(0).sqrt().sum();
  return std::max(0.0, (squared_means + traces).item<double>());
}

double FrechetDistance(const GaussianStatistics& a, const GaussianStatistics& b) {
  return FrechetReference(a).Distance(b);
}

}  // namespace lcsc
