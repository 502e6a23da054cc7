// What Scorer knows of derivatives.
#include <cstring>

#include "lcsc/base/error.h"
#include "lcsc/service/scorer.h"
#include "reference_set.h"
#include "weight_gradient.h"

namespace lcsc {
namespace {

void Put(const at::Tensor& values, std::vector<std::byte>& bytes) {
  if (!values.defined()) return;
  const at::Tensor whole = values.contiguous();
  const auto* const first = reinterpret_cast<const std::byte*>(whole.data_ptr<double>());
  bytes.insert(bytes.end(), first, first + whole.nbytes());
}

at::Tensor Take(at::IntArrayRef shape, std::span<const std::byte>& bytes) {
  const at::Tensor values = at::empty(shape, at::kDouble);
  LCSC_CHECK(bytes.size() >= values.nbytes());
  std::memcpy(values.data_ptr<double>(), bytes.data(), values.nbytes());
  bytes = bytes.subspan(values.nbytes());
  return values;
}

}  // namespace

void Scorer::PrepareGradients() {
  CheckDifferentiable(metrics_);
  gradients_ = true;
  extractor_->PrepareGradients();
  for (const at::Tensor& parameter : extractor_->parameters()) parameter.requires_grad_(false);
}

std::optional<FeatureGradient> Scorer::GradientOf(Tally& tally, Collective& group, StageSpans& spans) {
  Measured measured;
  {
    const StageTimer timer(Stage::kProject, spans);
    if (!FailureOfAny(tally.failure, group).empty()) return std::nullopt;
    Tally sums = tally;
    if (sums.statistics) sums.statistics->packed() = sums.statistics->packed().clone();
    measured = Gather(sums, options_.num_samples, group);
  }
  std::vector<std::byte> bytes;  // stays empty without a score
  if (group.IsLeader()) {
    const StageTimer timer(Stage::kBackward, spans);
    try {
      const FeatureGradient gradient = reference_->Gradient(measured, Objective(options_.objective).Weights());
      for (const at::Tensor& part : {gradient.matrix, gradient.offset, gradient.rows}) Put(part, bytes);
    } catch (const std::exception& error) {
      tally.failure = FirstLine(error);
      bytes.clear();
    }
  }
  const StageTimer timer(Stage::kProject, spans);
  group.BroadcastFromLeader(bytes);
  if (bytes.empty()) return std::nullopt;
  const std::int64_t d = extractor_->feature_dim();
  std::span<const std::byte> rest = bytes;
  FeatureGradient gradient;
  if (metrics_.contains(Metric::kFid)) {
    gradient.matrix = Take({d, d}, rest);
    gradient.offset = Take({d}, rest);
  }
  if (metrics_.contains(Metric::kKid)) gradient.rows = Take({options_.num_samples, d}, rest);
  return gradient;
}

void Scorer::AddBatchGradient(Denoiser& network, const FeatureGradient& of_features, SampleRange range,
                              std::int64_t noise_block, WeightGradient& sum) {
  const at::Tensor images = source_.DrawDifferentiable(network, InBlock(range, noise_block));
  const at::Tensor features = extractor_->Features(images);
  sum.Add((features * of_features.Of(features.detach(), range.begin)).sum());
}

void Scorer::RehearseGradient(Denoiser& network, const TensorTable& table) {
  WeightGradient sum(network, table);
  AddBatchGradient(network, /*of_features=*/{}, OwnBatches(options_, group_).front(), /*noise_block=*/0, sum);
}

void Scorer::CheckDifferentiates(Denoiser& network, const TensorTable& table) {
  try {
    WeightGradient sum(network, table);
    AddBatchGradient(network, /*of_features=*/{}, {0, 1}, /*noise_block=*/0, sum);
  } catch (const std::exception& error) {
    throw ConfigError(
        "search.strategy = gradient: expected a network, a sampler and an evaluation.extractor that can be "
        "differentiated, found: {}; use search.strategy = evolution",
        FirstLine(error));
  }
}

// Batch by batch: what autograd keeps of one is freed before the next.
void Scorer::AddWeightGradient(Denoiser& network, const FeatureGradient& of_features, std::int64_t noise_block,
                               Tally& tally, WeightGradient& sum, StageSpans& spans) {
  const StageTimer timer(Stage::kBackward, spans);
  try {
    for (const SampleRange range : OwnBatches(options_, group_)) {
      AddBatchGradient(network, of_features, range, noise_block, sum);
    }
  } catch (const std::exception& error) {
    tally.failure = FirstLine(error);
  }
}

}  // namespace lcsc
