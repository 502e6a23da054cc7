#include "lcsc/service/scorer.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "lcsc/base/error.h"
#include "lcsc/base/log.h"
#include "lcsc/model/registry.h"
#include "lcsc/service/reference_check.h"
#include "reference_set.h"
#include "row_gather.h"

namespace lcsc {
namespace {

constexpr const char* kNonFiniteImages = "non-finite images";

// The samples of each rank of a group, counted from the chunk's first: whole batches.
std::vector<Part> PartsOf(SampleRange chunk, std::int64_t batch_size, const Collective& group) {
  const std::int64_t num_samples = chunk.end - chunk.begin;
  std::vector<Part> parts = SplitEvenly((num_samples + batch_size - 1) / batch_size, group.group_size());
  for (Part& part : parts) {
    part = {std::min(part.begin * batch_size, num_samples), std::min(part.end * batch_size, num_samples)};
  }
  return parts;
}

std::vector<SampleRange> OwnRanges(SampleRange chunk, std::int64_t batch_size, const Collective& group) {
  const Part own = PartsOf(chunk, batch_size, group)[static_cast<std::size_t>(group.group_rank())];
  std::vector<SampleRange> ranges;
  for (std::int64_t begin = own.begin; begin < own.end; begin += batch_size) {
    ranges.push_back({chunk.begin + begin, chunk.begin + std::min(begin + batch_size, own.end)});
  }
  return ranges;
}

void CheckEnoughBatches(std::int64_t num_samples, std::int64_t batch_size, const Collective& group) {
  const std::int64_t num_batches = (num_samples + batch_size - 1) / batch_size;
  if (num_batches >= group.group_size()) return;
  throw ConfigError(
      "{} samples in batches of {} are {} batches, fewer than the {} ranks that share them; use fewer ranks in a "
      "group, a smaller evaluation.batch_size, or more samples",
      num_samples, batch_size, num_batches, group.group_size());
}

void CheckLogits(const Extraction& extraction, const EvaluationOptions& options) {
  if (extraction.logits.defined()) return;
  throw ConfigError(
      "evaluation.extractor {}: the inception score needs an extractor with logits, and this one has none",
      options.extractor);
}

}  // namespace

std::vector<SampleRange> OwnBatches(const EvaluationOptions& options, const Collective& group) {
  CheckEnoughBatches(options.num_samples, options.batch_size, group);
  return OwnRanges({0, options.num_samples}, options.batch_size, group);
}

Scorer::Scorer(const EvaluationOptions& options, Collective& group)
    : Scorer(options, Objective(options.objective).metrics(), group) {}

Scorer::Scorer(const EvaluationOptions& options, const MetricSet& metrics, Collective& group)
    : options_(options), chunks_{{0, options.num_samples}}, metrics_(metrics), group_(group), source_(options) {
  CheckEnoughBatches(options_.num_samples, options_.batch_size, group_);
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

void Scorer::ChooseDistanceDevice(int gpu) {
  const std::string line = reference_ ? reference_->ChooseDistanceDevice(gpu) : "";
  if (!line.empty()) spdlog::info("{}", line);
}

std::unique_ptr<Tally> Scorer::EmptyTally() const {
  auto tally = std::make_unique<Tally>();
  if (metrics_.contains(Metric::kFid)) tally->statistics.emplace(extractor_->feature_dim());
  return tally;
}

SampleRange Scorer::InBlock(SampleRange range, std::int64_t noise_block) const {
  const std::int64_t first = noise_block * options_.num_samples;
  return {range.begin + first, range.end + first};
}

std::vector<SampleRange> Scorer::OwnBatches() const {
  std::vector<SampleRange> own;
  for (const SampleRange chunk : chunks_) {
    const std::vector<SampleRange> ranges = OwnRanges(chunk, options_.batch_size, group_);
    own.insert(own.end(), ranges.begin(), ranges.end());
  }
  return own;
}

std::unique_ptr<Tally> Scorer::Draw(Denoiser& network, StageSpans& spans, std::int64_t noise_block) {
  std::vector<SampleRange> ranges = OwnBatches();
  for (SampleRange& range : ranges) range = InBlock(range, noise_block);
  auto tally = EmptyTally();
  AddDrawn(network, ranges, *tally, spans);
  return tally;
}

void Scorer::Rehearse(Denoiser& network) {
  StageSpans spans;
  AddDrawn(network, std::vector{OwnBatches().front()}, *EmptyTally(), spans);
}

std::int64_t Scorer::StatisticsBytes() const {
  constexpr std::int64_t kTallies = 3, kMatricesOfDistance = 3;
  if (!extractor_) return 0;
  const std::int64_t d = extractor_->feature_dim(), matrix = 8 * d * d, rows = 4 * d * options_.num_samples;
  std::int64_t bytes = 0;
  if (metrics_.contains(Metric::kFid)) bytes += (kTallies + (group_.IsLeader() ? kMatricesOfDistance : 0)) * matrix;
  if (NeedsReferenceFeatures(metrics_)) bytes += kTallies * rows / group_.group_size() + (group_.IsLeader() ? rows : 0);
  if (chunks_.size() > 1) {  // a look's copy, and on the leader its distance beside that of the candidate before
    if (metrics_.contains(Metric::kFid)) bytes += (1 + (group_.IsLeader() ? kMatricesOfDistance : 0)) * matrix;
    if (NeedsReferenceFeatures(metrics_)) bytes += group_.IsLeader() ? rows : 0;
  }
  if (!backward_) return bytes;
  // In float64: what is broadcast and what is made of it; on the leader what it is computed from besides.
  const std::int64_t copies = group_.IsLeader() ? 5 : 2;
  if (metrics_.contains(Metric::kFid)) bytes += copies * matrix;
  if (metrics_.contains(Metric::kKid)) bytes += copies * 2 * rows;
  return bytes;
}

void Scorer::AddDrawn(Denoiser& network, std::span<const SampleRange> ranges, Tally& tally, StageSpans& spans) {
  const c10::InferenceMode no_gradients;
  for (const SampleRange range : ranges) {
    // CheckFits has called everything once. What a user's module refuses now it refuses because of this candidate.
    try {
      at::Tensor images;
      {
        const StageTimer timer(Stage::kSample, spans);
        images = source_.Draw(network, range);
      }
      if (!images.defined()) throw MetricError("{}", kNonFiniteImages);
      const StageTimer timer(Stage::kFeatures, spans);
      Add(images, ConditioningOf(range, network), tally);
    } catch (const std::exception& error) {
      tally.failure = FirstLine(error);
      break;
    }
  }
}

// All ranks learn of it, so that none waits in a gather for rows that will not come.
std::string Scorer::FailureOfAny(const std::string& own, Collective& group) {
  constexpr float kDone = 0, kNonFinite = 1, kRefused = 2;
  std::vector<float> states(static_cast<std::size_t>(group.group_size()));
  states[static_cast<std::size_t>(group.group_rank())] =
      own.empty() ? kDone : (own == kNonFiniteImages ? kNonFinite : kRefused);
  group.AllGather(states, SplitEvenly(group.group_size(), group.group_size()));
  const float worst = *std::ranges::max_element(states);
  if (!own.empty() || worst == kDone) return own;
  return worst == kNonFinite ? kNonFiniteImages : "a module refused its input on another rank of the group";
}

Measured Scorer::Gather(Tally& tally, std::span<const SampleRange> chunks, Collective& group) const {
  Measured measured;
  if (tally.statistics) {
    measured.packed_statistics = tally.statistics->packed();
    group.ReduceToLeader(
        {measured.packed_statistics.data_ptr<double>(), static_cast<std::size_t>(measured.packed_statistics.numel())});
  }
  // A rank's batches lie behind each other, chunk by chunk.
  const auto gather = [&](const std::vector<at::Tensor>& batches) {
    std::vector<at::Tensor> rows;
    std::span<const at::Tensor> rest = batches;
    for (const SampleRange chunk : chunks) {
      const std::size_t own = OwnRanges(chunk, options_.batch_size, group).size();
      rows.push_back(GatherRows(rest.first(own), PartsOf(chunk, options_.batch_size, group), group));
      rest = rest.subspan(own);
    }
    return group.IsLeader() ? at::cat(rows) : at::Tensor();
  };
  if (NeedsReferenceFeatures(metrics_)) measured.features = gather(tally.features);
  if (metrics_.contains(Metric::kInceptionScore)) measured.logits = gather(tally.logits);
  if (image_scorer_) measured.scores = gather(tally.scores);
  return measured;
}

Measurement Scorer::Finish(Tally& tally, std::span<const SampleRange> chunks, StageSpans& spans) {
  const c10::InferenceMode no_gradients;
  Measurement measurement{.values = tally.looks, .image_scores = {}, .failure = {}, .is_stopped = tally.is_stopped};
  if (tally.is_stopped) return measurement;
  std::string failure;
  Measured measured;
  {
    const StageTimer timer(Stage::kReduce, spans);
    failure = FailureOfAny(tally.failure, group_);
    if (failure.empty()) measured = Gather(tally, chunks, group_);
  }
  if (!group_.IsLeader()) return measurement;
  const StageTimer timer(Stage::kDistance, spans);
  try {
    if (!failure.empty()) throw MetricError("{}", failure);
    measurement.values.merge(reference_->Compare(measured));
    if (measured.scores.defined()) measurement.image_scores = measured.scores.squeeze(1);
  } catch (const std::exception& error) {
    measurement.failure = FirstLine(error);
  }
  return measurement;
}

Outcome Scorer::OutcomeOf(const Measurement& measurement, const StageSpans& spans) const {
  Outcome outcome{.score = {}, .failure = measurement.failure, .seconds = SumOf(spans), .metrics = measurement.values};
  if (!group_.IsLeader() || !outcome.failure.empty() || measurement.is_stopped) return outcome;
  outcome.score = Objective(options_.objective).ValueOf(measurement.values);
  return outcome;
}

Measurement Scorer::MeasureNetwork(Denoiser& network) {
  StageSpans spans;
  return Finish(*Draw(network, spans), spans);
}

Outcome Scorer::ScoreNetwork(Denoiser& network) {
  StageSpans spans;
  const auto tally = Draw(network, spans);
  const Measurement measurement = Finish(*tally, spans);
  return OutcomeOf(measurement, spans);
}

Measurement Scorer::MeasureImages(const at::Tensor& images) {
  const c10::InferenceMode no_gradients;
  const auto tally = EmptyTally();
  StageSpans spans;
  const SampleRange all{0, images.size(0)};
  CheckEnoughBatches(all.end, options_.batch_size, group_);
  for (const SampleRange range : OwnRanges(all, options_.batch_size, group_)) {
    Add(images.slice(0, range.begin, range.end), source_.WithoutClasses(range), *tally);
  }
  return Finish(*tally, {&all, 1}, spans);
}

Outcome Scorer::ScoreImages(const at::Tensor& images) { return OutcomeOf(MeasureImages(images), {}); }

}  // namespace lcsc
