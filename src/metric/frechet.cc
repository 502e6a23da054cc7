#include "lcsc/metric/frechet.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <tuple>

#include "lcsc/base/error.h"
#include "lcsc/base/log.h"
#include "metric/symmetric.h"

namespace lcsc {
namespace {

// A sum is finite only if all its terms are; a finite matrix whose sum overflows is looked at term by term.
bool IsFinite(const at::Tensor& values) {
  return std::isfinite(values.sum().item<double>()) || at::isfinite(values).all().item<bool>();
}

void Check(const GaussianStatistics& gaussian, const char* whose) {
  const at::Tensor& mean = gaussian.mean;
  const at::Tensor& covariance = gaussian.covariance;
  if (mean.dim() != 1 || covariance.dim() != 2 || covariance.size(0) != mean.size(0) ||
      covariance.size(1) != mean.size(0)) {
    throw MetricError(
        "the {} statistics have a mean of shape [{}] and a covariance of shape [{}]; expected [d] and [d, d]", whose,
        fmt::join(mean.sizes().vec(), ", "), fmt::join(covariance.sizes().vec(), ", "));
  }
  if (!IsFinite(mean) || !IsFinite(covariance)) {
    throw MetricError("the {} statistics are not finite; look for NaN in the features or the weights", whose);
  }
}

// Relative to the largest eigenvalue (or pivot): what is below cannot be told from rounding.
double RelativeRounding(const at::Tensor& matrix) {
  return static_cast<double>(matrix.size(0)) * std::numeric_limits<double>::epsilon();
}

// U with C = U^T U, or an undefined tensor when C is not positive definite beyond rounding.
at::Tensor CholeskyFactor(const at::Tensor& covariance) {
  const auto [factor, info] = at::linalg_cholesky_ex(covariance, /*upper=*/true);
  if (info.item<int>() != 0) return {};
  const at::Tensor pivots = factor.diagonal().square();
  const double limit = RelativeRounding(covariance) * pivots.max().item<double>();
  return pivots.min().item<double>() > limit ? factor.contiguous() : at::Tensor();
}

// F of [rank, d] with C = F^T F, from the eigenvalues that are more than rounding and at most max_rank of them.
at::Tensor EigenFactor(const at::Tensor& covariance, std::int64_t max_rank) {
  const auto [values, vectors] = at::linalg_eigh(covariance);
  const double limit = RelativeRounding(covariance) * values.abs().max().item<double>();
  const std::int64_t rank = std::min(max_rank, (values > limit).sum().item<std::int64_t>());
  const std::int64_t first = values.size(0) - rank;
  return (vectors.narrow(1, first, rank) * values.narrow(0, first, rank).sqrt()).t().contiguous();
}

double SecondsOf(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// How many eigenvalues of a covariance can differ from 0.
std::int64_t MaxRank(std::int64_t dim, std::int64_t count) { return count > 0 ? std::min(dim, count - 1) : dim; }

}  // namespace

GaussianStatistics GaussianOf(const FeatureStatistics& statistics) {
  return {statistics.Mean(), statistics.Covariance(), statistics.count()};
}

FrechetReference::FrechetReference(const GaussianStatistics& reference) {
  Check(reference, "reference");
  mean_ = reference.mean.to(at::kDouble);
  const at::Tensor covariance = reference.covariance.to(at::kDouble);
  const at::Tensor symmetric = (covariance + covariance.t()) / 2;
  trace_ = covariance.trace().item<double>();
  count_ = reference.count;
  const std::int64_t max_rank = MaxRank(dim(), count_);
  if (max_rank == dim()) factor_ = CholeskyFactor(symmetric);
  triangular_ = factor_.defined();
  if (!triangular_) factor_ = EigenFactor(symmetric, max_rank);
}

at::Tensor FrechetReference::EigenvaluesOnCpu(const at::Tensor& covariance) const {
  return triangular_ ? CongruenceEigenvalues(factor_, covariance)
                     : at::linalg_eigvalsh(factor_.mm(covariance).mm(factor_.t()));
}

at::Tensor FrechetReference::Eigenvalues(const at::Tensor& covariance) const {
  if (!gpu_factor_.defined()) return EigenvaluesOnCpu(covariance);
  try {
    return CongruenceEigenvalues(gpu_factor_, covariance, DenseKernels::kLibTorch);
  } catch (const c10::Error& error) {
    spdlog::warn("this distance is computed on the CPU, for the GPU says: {}", FirstLine(error));
    return EigenvaluesOnCpu(covariance);
  }
}

std::string FrechetReference::ChooseDevice(int gpu) {
  gpu_factor_.reset();
  if (!at::hasCUDA()) return "distance: on the CPU, for LibTorch finds no GPU";
  if (factor_.size(0) == 0) return "distance: on the CPU, for the reference does not vary";
  const at::Tensor covariance = factor_.t().mm(factor_);
  try {
    const at::Tensor on_gpu = factor_.to(at::Device(at::kCUDA, static_cast<at::DeviceIndex>(gpu)));
    const auto compute_on_gpu = [&] { CongruenceEigenvalues(on_gpu, covariance, DenseKernels::kLibTorch); };
    compute_on_gpu();  // the first time loads the solver
    const double gpu_s = SecondsOf(compute_on_gpu), cpu_s = SecondsOf([&] { EigenvaluesOnCpu(covariance); });
    if (gpu_s < cpu_s) gpu_factor_ = on_gpu;
    return fmt::format("distance: {:.1f} ms on the CPU, {:.1f} ms on GPU {}: taken is the {}", 1e3 * cpu_s, 1e3 * gpu_s,
                       gpu, gpu_s < cpu_s ? "GPU" : "CPU");
  } catch (const c10::Error& error) {
    return fmt::format("distance: on the CPU, for GPU {} says: {}", gpu, FirstLine(error));
  }
}

double FrechetReference::TraceOfRoot(const GaussianStatistics& generated) const {
  const at::Tensor covariance = generated.covariance.to(at::kDouble).contiguous();
  if (factor_.size(0) == 0) return 0;
  const at::Tensor eigenvalues = Eigenvalues(covariance);
  const std::int64_t rank = std::min(eigenvalues.size(0), MaxRank(dim(), generated.count));
  return eigenvalues.narrow(0, eigenvalues.size(0) - rank, rank).clamp_min(0).sqrt().sum().item<double>();
}

void FrechetReference::CheckComparable(const GaussianStatistics& generated) const {
  Check(generated, "generated");
  if (generated.mean.size(0) != dim()) {
    throw MetricError(
        "the reference has {} features, the generated images have {}; use the extractor that the "
        "reference was made with",
        dim(), generated.mean.size(0));
  }
}

double FrechetReference::Distance(const GaussianStatistics& generated) const {
  CheckComparable(generated);
  const double squared_means = (generated.mean.to(at::kDouble) - mean_).square().sum().item<double>();
  const double trace = generated.covariance.trace().item<double>();
  return std::max(0.0, squared_means + trace_ + trace - 2 * TraceOfRoot(generated));
}

// tr M^1/2 of M = F C F^T changes by tr(M^-1/2 dM) / 2.
GaussianGradient FrechetReference::Gradient(const GaussianStatistics& generated) const {
  CheckComparable(generated);
  const at::Tensor covariance = generated.covariance.to(at::kDouble);
  GaussianGradient gradient{2 * (generated.mean.to(at::kDouble) - mean_), at::eye(dim(), at::kDouble)};
  if (factor_.size(0) == 0) return gradient;
  const at::Tensor product = factor_.mm(covariance).mm(factor_.t());
  const auto [values, vectors] = at::linalg_eigh((product + product.t()) / 2);
  const double limit = RelativeRounding(product) * values.abs().max().item<double>();
  const std::int64_t rank = std::min(MaxRank(dim(), generated.count), (values > limit).sum().item<std::int64_t>());
  const std::int64_t first = values.size(0) - rank;
  // F^T V L^-1/4 squared is F^T M^-1/2 F.
  const at::Tensor root = factor_.t().mm(vectors.narrow(1, first, rank)) * values.narrow(0, first, rank).pow(-0.25);
  gradient.covariance.sub_(root.mm(root.t()));
  return gradient;
}

double FrechetDistance(const GaussianStatistics& a, const GaussianStatistics& b) {
  return FrechetReference(a).Distance(b);
}

}  // namespace lcsc
