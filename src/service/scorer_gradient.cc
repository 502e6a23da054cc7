// What Scorer knows of derivatives.
#include <algorithm>
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

void Scorer::PrepareGradients(const BackwardTurns& turns) {
  CheckDifferentiable(metrics_);
  backward_ = turns;
  const std::int64_t num_batches = (options_.num_samples + options_.batch_size - 1) / options_.batch_size;
  if (turns.every > num_batches) {
    throw ConfigError(
        "search.backward_every: expected at most the {} batches that {} samples in batches of {} are, found {}; give "
        "less, or choose a smaller evaluation.batch_size",
        num_batches, options_.num_samples, options_.batch_size, turns.every);
  }
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
    measured = Gather(sums, chunks_, group);
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

std::vector<Scorer::BackwardBatch> Scorer::BackwardBatches(const Candidate& candidate) const {
  const std::int64_t turn = (candidate.generation - 1) / backward_->noise_blocks;
  const auto is_taken = [&](std::int64_t first_sample) {
    return (first_sample / options_.batch_size - turn) % backward_->every == 0;
  };
  std::int64_t taken = 0;
  for (std::int64_t first = 0; first < options_.num_samples; first += options_.batch_size) {
    if (is_taken(first)) taken += std::min(options_.batch_size, options_.num_samples - first);
  }
  const double factor = static_cast<double>(options_.num_samples) / static_cast<double>(taken);
  std::vector<BackwardBatch> batches;
  for (const SampleRange range : OwnBatches()) {
    if (is_taken(range.begin)) batches.push_back({range, candidate.noise_block, factor});
  }
  return batches;
}

void Scorer::AddBatchGradient(Denoiser& network, const FeatureGradient& of_features, const BackwardBatch& batch,
                              WeightGradient& sum) {
  const at::Tensor images = source_.DrawDifferentiable(network, InBlock(batch.range, batch.noise_block));
  const at::Tensor features = extractor_->Features(images);
  sum.Add(batch.factor * (features * of_features.Of(features.detach(), batch.range.begin)).sum());
}

void Scorer::RehearseGradient(Denoiser& network, const TensorTable& table) {
  WeightGradient sum(network, table);
  AddBatchGradient(network, /*of_features=*/{}, {.range = OwnBatches().front()}, sum);
}

void Scorer::CheckDifferentiates(Denoiser& network, const TensorTable& table) {
  try {
    WeightGradient sum(network, table);
    AddBatchGradient(network, /*of_features=*/{}, {.range = {0, 1}}, sum);
  } catch (const std::exception& error) {
    throw ConfigError(
        "search.strategy: gradients expect a network, a sampler and an evaluation.extractor that can be "
        "differentiated, found: {}; use search.strategy = evolution",
        FirstLine(error));
  }
}

// Batch by batch: what autograd keeps of one is freed before the next.
void Scorer::AddWeightGradient(Denoiser& network, const FeatureGradient& of_features, const Candidate& candidate,
                               Tally& tally, WeightGradient& sum, StageSpans& spans) {
  const StageTimer timer(Stage::kBackward, spans);
  try {
    for (const BackwardBatch& batch : BackwardBatches(candidate)) {
      AddBatchGradient(network, of_features, batch, sum);
    }
  } catch (const std::exception& error) {
    tally.failure = FirstLine(error);
  }
}

}  // namespace lcsc
