#include "lcsc/service/scorer.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>

#include "lcsc/base/error.h"
#include "lcsc/model/registry.h"
#include "lcsc/service/reference_check.h"
#include "reference_set.h"
#include "row_gather.h"

namespace lcsc {
namespace {

constexpr const char* kNonFiniteImages = "non-finite images";

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The samples of each rank of a group: whole batches.
std::vector<Part> PartsOf(std::int64_t num_samples, std::int64_t batch_size, const Collective& group) {
  const std::int64_t num_batches = (num_samples + batch_size - 1) / batch_size;
  if (num_batches < group.group_size()) {
    throw ConfigError(
        "{} samples in batches of {} are {} batches, fewer than the {} ranks that share them; use fewer ranks in a "
        "group, a smaller evaluation.batch_size, or more samples",
        num_samples, batch_size, num_batches, group.group_size());
  }
  std::vector<Part> parts = SplitEvenly(num_batches, group.group_size());
  for (Part& part : parts) part = {part.begin * batch_size, std::min(part.end * batch_size, num_samples)};
  return parts;
}

std::vector<SampleRange> OwnRanges(std::int64_t num_samples, std::int64_t batch_size, const Collective& group) {
  const Part own = PartsOf(num_samples, batch_size, group)[static_cast<std::size_t>(group.group_rank())];
  std::vector<SampleRange> ranges;
  for (std::int64_t begin = own.begin; begin < own.end; begin += batch_size) {
    ranges.push_back({begin, std::min(begin + batch_size, own.end)});
  }
  return ranges;
}

void CheckLogits(const Extraction& extraction, const EvaluationOptions& options) {
  if (extraction.logits.defined()) return;
  throw ConfigError(
      "evaluation.extractor {}: the inception score needs an extractor with logits, and this one has none",
      options.extractor);
}

}  // namespace

std::vector<SampleRange> OwnBatches(const EvaluationOptions& options, const Collective& group) {
  return OwnRanges(options.num_samples, options.batch_size, group);
}

Scorer::Scorer(const EvaluationOptions& options, Collective& group)
    : Scorer(options, Objective(options.objective).metrics(), group) {}

Scorer::Scorer(const EvaluationOptions& options, const MetricSet& metrics, Collective& group)
    : options_(options), metrics_(metrics), group_(group), source_(options) {
  OwnBatches(options_, group_);
  SamplerOf(options_);
  CheckSampleCount(metrics_, options_.num_samples);
  if (metrics_.contains(Metric::kScore)) image_scorer_ = std::make_unique<ImageScorer>(options_.scorer);
  if (NeedsExtractor(metrics_)) extractor_ = LoadFeatureExtractor(options_.extractor, options_.extraction);
  if (NeedsReference(metrics_)) CheckReferenceOrigin(options_);
  if (!group_.IsLeader()) return;
  reference_ = std::make_unique<ReferenceSet>(options_, metrics_, extractor_ ? extractor_->feature_dim() : 0);
}

Scorer::~Scorer() = default;

void Scorer::CheckFits(Denoiser& network) {
  const c10::InferenceMode no_gradients;
  source_.CheckConditioning(network, image_scorer_.get());
  std::vector<std::int64_t> shape = source_.Probe(network);
  shape.insert(shape.begin(), 1);
  const at::Tensor black = at::zeros(shape, at::kByte);
  if (image_scorer_) image_scorer_->Scores(black, ConditioningOf({0, 1}, network));
  if (!extractor_) return;
  Extraction extraction;
  try {
    extraction = extractor_->Extract(black);
  } catch (const std::exception& error) {
    throw ConfigError("evaluation.extractor {}: expected an extractor that takes the network's images {}, found: {}",
                      options_.extractor, ShapeText({shape.begin() + 1, shape.end()}), FirstLine(error));
  }
  if (metrics_.contains(Metric::kInceptionScore)) CheckLogits(extraction, options_);
}

Conditioning Scorer::ConditioningOf(SampleRange range, const Denoiser& network) const {
  if (!image_scorer_) return {};
  return network.label_dim() > 0 ? source_.ConditioningOf(range, network.label_dim()) : source_.WithoutClasses(range);
}

void Scorer::Add(const at::Tensor& images, const Conditioning& conditioning, Tally& tally) {
  if (image_scorer_) tally.scores.push_back(image_scorer_->Scores(images, conditioning).unsqueeze(1));
  if (!extractor_) return;
  Extraction extraction;
  if (metrics_.contains(Metric::kInceptionScore)) {
    extraction = extractor_->Extract(images);
    CheckLogits(extraction, options_);
    tally.logits.push_back(extraction.logits);
  } else {
    extraction.features = extractor_->Features(images);
  }
  if (tally.statistics) tally.statistics->Add(extraction.features);
  if (NeedsReferenceFeatures(metrics_)) tally.features.push_back(extraction.features);
}

Scorer::Tally Scorer::EmptyTally() const {
  Tally tally;
  if (metrics_.contains(Metric::kFid)) tally.statistics.emplace(extractor_->feature_dim());
  return tally;
}

Measurement Scorer::MeasureNetwork(Denoiser& network, const StageSeconds& seconds) {
  const c10::InferenceMode no_gradients;
  StageSeconds stages = seconds;
  Tally tally = EmptyTally();
  for (const SampleRange range : OwnBatches(options_, group_)) {
    auto start = std::chrono::steady_clock::now();
    // CheckFits has called everything once. What a user's module refuses now it refuses because of this candidate.
    try {
      const at::Tensor images = source_.Draw(network, range);
      stages.sample += SecondsSince(start);
      if (!images.defined()) throw MetricError("{}", kNonFiniteImages);
      start = std::chrono::steady_clock::now();
      Add(images, ConditioningOf(range, network), tally);
      stages.features += SecondsSince(start);
    } catch (const std::exception& error) {
      tally.failure = FirstLine(error);
      break;
    }
  }
  return Finish(tally, options_.num_samples, stages);
}

Measurement Scorer::MeasureImages(const at::Tensor& images) {
  const c10::InferenceMode no_gradients;
  Tally tally = EmptyTally();
  StageSeconds stages;
  const auto start = std::chrono::steady_clock::now();
  for (const SampleRange range : OwnRanges(images.size(0), options_.batch_size, group_)) {
    Add(images.slice(0, range.begin, range.end), source_.WithoutClasses(range), tally);
  }
  stages.features = SecondsSince(start);
  return Finish(tally, images.size(0), stages);
}

// All ranks learn of it, so that none waits in a gather for rows that will not come.
std::string Scorer::FailureOfAny(const std::string& own) {
  constexpr float kDone = 0, kNonFinite = 1, kRefused = 2;
  std::vector<float> states(static_cast<std::size_t>(group_.group_size()));
  states[static_cast<std::size_t>(group_.group_rank())] =
      own.empty() ? kDone : (own == kNonFiniteImages ? kNonFinite : kRefused);
  group_.AllGather(states, SplitEvenly(group_.group_size(), group_.group_size()));
  const float worst = *std::ranges::max_element(states);
  if (!own.empty() || worst == kDone) return own;
  return worst == kNonFinite ? kNonFiniteImages : "a module refused its input on another rank of the group";
}

Measured Scorer::Gather(Tally& tally, std::int64_t num_samples) {
  const std::vector<Part> parts = PartsOf(num_samples, options_.batch_size, group_);
  Measured measured;
  if (tally.statistics) {
    measured.packed_statistics = tally.statistics->packed();
    group_.ReduceToLeader(
        {measured.packed_statistics.data_ptr<double>(), static_cast<std::size_t>(measured.packed_statistics.numel())});
  }
  if (NeedsReferenceFeatures(metrics_)) measured.features = GatherRows(tally.features, parts, group_);
  if (metrics_.contains(Metric::kInceptionScore)) measured.logits = GatherRows(tally.logits, parts, group_);
  if (image_scorer_) measured.scores = GatherRows(tally.scores, parts, group_);
  return measured;
}

Measurement Scorer::Finish(Tally& tally, std::int64_t num_samples, StageSeconds seconds) {
  Measurement measurement;
  auto start = std::chrono::steady_clock::now();
  const std::string failure = FailureOfAny(tally.failure);
  Measured measured;
  if (failure.empty()) measured = Gather(tally, num_samples);
  seconds.reduce = SecondsSince(start);
  if (!group_.IsLeader()) return measurement;
  start = std::chrono::steady_clock::now();
  try {
    if (!failure.empty()) throw MetricError("{}", failure);
    measurement.values = reference_->Compare(measured);
    if (measured.scores.defined()) measurement.image_scores = measured.scores.squeeze(1);
  } catch (const std::exception& error) {
    measurement.failure = FirstLine(error);
  }
  seconds.distance = SecondsSince(start);
  measurement.seconds = seconds;
  return measurement;
}

Outcome Scorer::OutcomeOf(const Measurement& measurement) const {
  Outcome outcome{
      .score = {}, .failure = measurement.failure, .seconds = measurement.seconds, .metrics = measurement.values};
  if (!group_.IsLeader() || !outcome.failure.empty()) return outcome;
  outcome.score = Objective(options_.objective).ValueOf(measurement.values);
  return outcome;
}

Outcome Scorer::ScoreNetwork(Denoiser& network, const StageSeconds& seconds) {
  return OutcomeOf(MeasureNetwork(network, seconds));
}

Outcome Scorer::ScoreImages(const at::Tensor& images) { return OutcomeOf(MeasureImages(images)); }

}  // namespace lcsc
