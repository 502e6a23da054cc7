#include "lcsc/metric/kid.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "lcsc/base/error.h"
#include "lcsc/base/philox.h"
#include "lcsc/metric/feature_check.h"

namespace lcsc {
namespace {

// Rows of each side whose kernels are in memory together: 8 MiB of them.
constexpr std::int64_t kBlockRows = 1024;
constexpr std::int64_t kMinRows = 2;  // of each side: the estimate is over pairs

at::Tensor Block(const at::Tensor& features, std::int64_t begin) {
  return features.slice(0, begin, std::min(begin + kBlockRows, features.size(0))).to(at::kDouble);
}

// k(x_i, y_j) = (x_i . y_j / d + 1)^3
at::Tensor Kernels(const at::Tensor& x, const at::Tensor& y) {
  const at::Tensor base = x.mm(y.t()).div_(static_cast<double>(x.size(1))).add_(1.0);
  return base.square().mul_(base);
}

// Sum over all pairs of a row of x and a row of y.
double SumOfKernels(const at::Tensor& x, const at::Tensor& y) {
  double sum = 0;
  for (std::int64_t i = 0; i < x.size(0); i += kBlockRows) {
    const at::Tensor rows = Block(x, i);
    for (std::int64_t j = 0; j < y.size(0); j += kBlockRows) sum += Kernels(rows, Block(y, j)).sum().item<double>();
  }
  return sum;
}

// Sum over all ordered pairs of two different rows of x: the kernel is symmetric, so half of the blocks do.
double SumOfKernelsOfPairs(const at::Tensor& x) {
  double sum = 0;
  for (std::int64_t i = 0; i < x.size(0); i += kBlockRows) {
    const at::Tensor rows = Block(x, i);
    sum += Kernels(rows, rows).fill_diagonal_(0).sum().item<double>();
    for (std::int64_t j = i + kBlockRows; j < x.size(0); j += kBlockRows) {
      sum += 2 * Kernels(rows, Block(x, j)).sum().item<double>();
    }
  }
  return sum;
}

// 3 (x_i . y_j / d + 1)^2 / d: dk(x_i, y_j)/dx_i without its last factor y_j.
at::Tensor Slopes(const at::Tensor& x, const at::Tensor& y) {
  const auto d = static_cast<double>(x.size(1));
  return x.mm(y.t()).div_(d).add_(1.0).square_().mul_(3 / d);
}

// Rows drawn without replacement: the front of a shuffle that stops early (Fisher and Yates).
at::Tensor DrawRows(const at::Tensor& features, std::int64_t count, RandomStream stream) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(features.size(0)));
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    std::swap(order[i], order[i + static_cast<std::size_t>(stream.NextBelow(order.size() - i))]);
  }
  return features.index_select(0,
                               at::tensor(at::ArrayRef<std::int64_t>(order.data(), static_cast<std::size_t>(count))));
}

double MeanKernelOfPairs(const at::Tensor& x) {
  const double n = static_cast<double>(x.size(0));
  return SumOfKernelsOfPairs(x) / (n * (n - 1));
}

void CheckReference(const at::Tensor& features) { CheckFeatures(features, {"reference features", kMinRows}); }

}  // namespace

KidReference::KidReference(const at::Tensor& features) : features_(features) {
  CheckReference(features_);
  mean_kernel_ = MeanKernelOfPairs(features_);
}

double KidReference::Distance(const at::Tensor& generated) const {
  CheckGenerated(generated, {kMinRows, features_.size(1)});
  const double pairs = static_cast<double>(generated.size(0)) * static_cast<double>(features_.size(0));
  const double estimate = MeanKernelOfPairs(generated) + mean_kernel_ - 2 * SumOfKernels(generated, features_) / pairs;
  if (!std::isfinite(estimate)) throw MetricError("the kernel distance overflows; the features are too large");
  return estimate;
}

// Each pair of generated rows is there twice: as (x_j, x_i) and as (x_i, x_j).
FeatureGradient KidReference::Gradient(const at::Tensor& generated) const {
  CheckGenerated(generated, {kMinRows, features_.size(1)});
  const auto n = static_cast<double>(generated.size(0)), m = static_cast<double>(features_.size(0));
  std::vector<at::Tensor> blocks;
  for (std::int64_t j = 0; j < generated.size(0); j += kBlockRows) {
    const at::Tensor rows = Block(generated, j);
    at::Tensor own = at::zeros_like(rows), others = at::zeros_like(rows);
    for (std::int64_t i = 0; i < generated.size(0); i += kBlockRows) {
      const at::Tensor block = Block(generated, i);
      at::Tensor slopes = Slopes(rows, block);
      if (i == j) slopes.fill_diagonal_(0);
      own.addmm_(slopes, block);
    }
    for (std::int64_t i = 0; i < features_.size(0); i += kBlockRows) {
      const at::Tensor block = Block(features_, i);
      others.addmm_(Slopes(rows, block), block);
    }
    blocks.push_back(own.mul_(2 / (n * (n - 1))).sub_(others.mul_(2 / (n * m))));
  }
  return {.matrix = {}, .offset = {}, .rows = at::cat(blocks)};
}

double KernelInceptionDistance(const at::Tensor& generated, const at::Tensor& reference) {
  return KidReference(reference).Distance(generated);
}

MeanStd KernelInceptionDistance(const at::Tensor& generated, const at::Tensor& reference, const KidSubsets& subsets) {
  CheckReference(reference);
  CheckGenerated(generated, {kMinRows, reference.size(1)});
  const std::int64_t most = std::min(generated.size(0), reference.size(0));
  if (subsets.num_subsets < 1 || subsets.subset_size < 2 || subsets.subset_size > most) {
    throw MetricError(
        "KID of {} subsets of {} samples: expected at least one subset of 2 to {} samples, as there are {} generated "
        "and {} reference samples",
        subsets.num_subsets, subsets.subset_size, most, generated.size(0), reference.size(0));
  }
  std::vector<double> estimates;
  for (std::int64_t i = 0; i < subsets.num_subsets; ++i) {
    const auto draw = [&](const at::Tensor& features, std::uint32_t side) {
      const RandomStream::Id id{RandomPurpose::kMetricSubset, subsets.seed, static_cast<std::uint64_t>(i), side};
      return DrawRows(features, subsets.subset_size, RandomStream(id));
    };
    estimates.push_back(KernelInceptionDistance(draw(generated, 0), draw(reference, 1)));
  }
  return MeanStdOf(estimates);
}

}  // namespace lcsc
