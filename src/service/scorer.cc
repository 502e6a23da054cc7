#include "lcsc/service/scorer.h"

#include <c10/core/InferenceMode.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lcsc/model/registry.h"

namespace lcsc {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<SampleRange> OwnRanges(std::int64_t num_samples, std::int64_t batch_size, const Collective& group) {
  const std::int64_t num_batches = (num_samples + batch_size - 1) / batch_size;
  if (num_batches < group.group_size()) {
    throw ConfigError(
        "{} samples in batches of {} are {} batches, fewer than the {} ranks that share them; use fewer ranks in a "
        "group, "
        "a smaller evaluation.batch_size, or more samples",
        num_samples, batch_size, num_batches, group.group_size());
  }
  const Part own = SplitEvenly(num_batches, group.group_size())[static_cast<std::size_t>(group.group_rank())];
  std::vector<SampleRange> ranges;
  for (std::int64_t batch = own.begin; batch < own.end; ++batch) {
    ranges.push_back({batch * batch_size, std::min((batch + 1) * batch_size, num_samples)});
  }
  return ranges;
}

// The features' count of non-finite images is carried by the statistics themselves, so that the leader learns of it.
void MarkNonFinite(FeatureStatistics& statistics) { statistics.packed()[0] = std::numeric_limits<double>::quiet_NaN(); }

void CheckExtractorOf(const ReferenceFile& reference, const EvaluationOptions& options) {
  if (reference.provenance_json.empty()) return;
  const auto provenance = nlohmann::json::parse(reference.provenance_json, nullptr, /*allow_exceptions=*/false);
  if (!provenance.is_object() || !provenance.value("extractor_digest", nlohmann::json()).is_string()) return;
  const std::string expected = provenance["extractor_digest"].get<std::string>();
  const std::string found = DigestOfFile(options.extractor);
  if (expected != found) {
    throw InputError(
        "evaluation.reference {}: made with an extractor of digest {}, but evaluation.extractor {} has digest {}; make "
        "the "
        "reference again with `lcsc reference`",
        options.reference, expected, options.extractor, found);
  }
}

}  // namespace

std::vector<SampleRange> OwnBatches(const EvaluationOptions& options, const Collective& group) {
  return OwnRanges(options.num_samples, options.batch_size, group);
}

Scorer::Scorer(const EvaluationOptions& options, Collective& group)
    : options_(options), group_(group), source_(options) {
  OwnBatches(options_, group_);
  SamplerOf(options_);
  extractor_ = LoadFeatureExtractor(options_.extractor);
  const ReferenceFile reference = ReadReference(options_.reference);
  CheckExtractorOf(reference, options_);
  const std::int64_t reference_dim = reference.statistics.mean.size(0);
  if (reference_dim != extractor_->feature_dim()) {
    throw MetricError("evaluation.reference {}: expected statistics of {} features, as {} gives, found {}",
                      options_.reference, extractor_->feature_dim(), options_.extractor, reference_dim);
  }
  if (group_.IsLeader()) reference_ = std::make_unique<FrechetReference>(reference.statistics);
}

void Scorer::CheckFits(Denoiser& network) {
  const c10::InferenceMode no_gradients;
  std::vector<std::int64_t> shape = source_.Probe(network);
  shape.insert(shape.begin(), 1);
  try {
    extractor_->Features(at::zeros(shape, at::kByte));
  } catch (const std::exception&) {
    throw ConfigError("evaluation.extractor {}: expected an extractor that takes the network's images {}",
                      options_.extractor, ShapeText({shape.begin() + 1, shape.end()}));
  }
}

Outcome Scorer::ScoreNetwork(Denoiser& network, const StageSeconds& seconds) {
  const c10::InferenceMode no_gradients;
  StageSeconds stages = seconds;
  FeatureStatistics statistics(extractor_->feature_dim());
  for (const SampleRange range : OwnBatches(options_, group_)) {
    auto start = std::chrono::steady_clock::now();
    const at::Tensor images = source_.Draw(network, range);
    stages.sample += SecondsSince(start);
    if (!images.defined()) {
      MarkNonFinite(statistics);
      break;
    }
    start = std::chrono::steady_clock::now();
    statistics.Add(extractor_->Features(images));
    stages.features += SecondsSince(start);
  }
  return ReduceAndCompare(statistics, stages);
}

Outcome Scorer::ScoreImages(const at::Tensor& images) {
  const c10::InferenceMode no_gradients;
  FeatureStatistics statistics(extractor_->feature_dim());
  StageSeconds stages;
  const auto start = std::chrono::steady_clock::now();
  for (const SampleRange range : OwnRanges(images.size(0), options_.batch_size, group_)) {
    statistics.Add(extractor_->Features(images.slice(0, range.begin, range.end)));
  }
  stages.features = SecondsSince(start);
  return ReduceAndCompare(statistics, stages);
}

Outcome Scorer::ReduceAndCompare(FeatureStatistics& statistics, StageSeconds seconds) {
  auto start = std::chrono::steady_clock::now();
  at::Tensor& packed = statistics.packed();
  group_.ReduceToLeader({packed.data_ptr<double>(), static_cast<std::size_t>(packed.numel())});
  seconds.reduce = SecondsSince(start);
  Outcome outcome;
  if (!group_.IsLeader()) return outcome;
  start = std::chrono::steady_clock::now();
  try {
    if (!statistics.IsFinite()) throw MetricError("non-finite images or features");
    outcome.score = reference_->Distance(GaussianOf(statistics));
  } catch (const std::exception& error) {
    outcome.failure = FirstLine(error);
  }
  if (outcome.score && !std::isfinite(*outcome.score)) {
    outcome = {.score = {}, .failure = "non-finite distance", .seconds = {}};
  }
  seconds.distance = SecondsSince(start);
  outcome.seconds = seconds;
  return outcome;
}

}  // namespace lcsc
