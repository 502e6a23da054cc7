#include "lcsc/service/search_forecast.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "lcsc/base/error.h"
#include "lcsc/base/memory.h"
#include "lcsc/comm/collective.h"
#include "lcsc/merge/weight_merger.h"
#include "lcsc/model/registry.h"
#include "lcsc/search/evolution.h"
#include "lcsc/service/memory_plan.h"
#include "lcsc/service/scorer.h"

namespace lcsc {
namespace {

constexpr std::int64_t kProbeSamples = 16;
constexpr double kStageBudgetSeconds = 12;

// A rank of the search as far as it computes, with its part of the trajectory.
class Rank {
 public:
  Rank(const EvaluationOptions& evaluation, const RunOptions& run)
      : evaluation_(evaluation), trajectory_(ReadTrajectory(evaluation.trajectory)) {
    const GroupPlace place = {0, static_cast<int>(std::max<std::int64_t>(1, run.group_size))};
    const std::int64_t weight_bytes = 4 * trajectory_.table.num_elements();
    const MemoryBudget budget = BudgetOf({}, run);
    MergeOptions options;
    if (budget.bytes > 0) options.budget_bytes = std::max<std::int64_t>(0, budget.bytes - 2 * weight_bytes);
    memory_ = MergeMemoryOf(trajectory_, place, options);
    merger_ = MakeWeightMerger(trajectory_, place, options);
    weights_ = at::zeros({merger_->table().num_elements()}, at::kFloat);
    network_ = MakeDenoiser(nlohmann::json::parse(trajectory_.network_json));
    BindFlatWeights(*network_, merger_->table(), weights_, merger_->ReadCarried(), evaluation.trajectory);
    network_->eval();
    // The last checkpoint, whole, so that images are those of a network.
    coefficients_.assign(static_cast<std::size_t>(trajectory_.num_checkpoints()), 0);
    coefficients_.back() = 1;
    MakeWeightMerger(trajectory_, {}, options)->Merge(coefficients_, Weights());
  }

  const Trajectory& trajectory() const { return trajectory_; }
  Denoiser& network() { return *network_; }

  // Of the part of this rank.
  StageRate Merge(const MachineRates& machine) {
    constexpr double kBudgetSeconds = 1;
    const double seconds = FastestSeconds(kBudgetSeconds, [&] { merger_->Merge(coefficients_, Weights()); });
    const ParameterRange& part = merger_->parts().front();
    const double read = static_cast<double>(memory_.is_streamed ? memory_.streamed_bytes : memory_.held_bytes);
    const double bytes = read + 4 * static_cast<double>(part.size());
    StageRate rate{"merge", seconds, bytes / seconds * 1e-9, "GB/s", 0};
    if (!memory_.is_streamed && !trajectory_.lora) rate.floor_seconds = bytes / machine.copy_bytes_per_second;
    return rate;
  }

  // The stages after the merge, of so many samples; the fastest of some rounds when they are short.
  StageSeconds Measure(std::int64_t num_samples, std::int64_t batch_size) {
    EvaluationOptions options = evaluation_;
    options.num_samples = num_samples;
    options.batch_size = batch_size;
    Scorer scorer(options, group_);
    scorer.CheckFits(*network_);
    std::optional<StageSeconds> fastest;
    for (double spent = 0; !fastest || (spent < 1 && spent + fastest->total() < kStageBudgetSeconds);) {
      StageSpans spans;
      const auto tally = scorer.Draw(*network_, spans);
      const Measurement measurement = scorer.Finish(*tally, spans);
      if (!measurement.failure.empty()) {
        throw InputError("{}: the last checkpoint cannot be scored: {}", evaluation_.trajectory, measurement.failure);
      }
      const StageSeconds seconds = SumOf(spans);
      spent += seconds.total();
      if (!fastest || seconds.total() < fastest->total()) fastest = seconds;
    }
    return *fastest;
  }

  // Operations for one image.
  double NetworkFlops() {
    const ImageSource source(evaluation_);
    return CountFlops([&] { source.Draw(*network_, {0, 1}); });
  }
  double FeaturesFlops() {
    if (!NeedsExtractor(Objective(evaluation_.objective).metrics())) return 0;
    const at::Tensor image = ImageSource(evaluation_).Draw(*network_, {0, 1});
    const auto extractor = LoadFeatureExtractor(evaluation_.extractor, evaluation_.extraction);
    return CountFlops([&] { extractor->Features(image); });
  }

 private:
  std::span<float> Weights() { return {weights_.data_ptr<float>(), static_cast<std::size_t>(weights_.numel())}; }

  EvaluationOptions evaluation_;
  Trajectory trajectory_;
  MergeMemory memory_;
  std::unique_ptr<WeightMerger> merger_;
  at::Tensor weights_;
  std::shared_ptr<Denoiser> network_;
  Coefficients coefficients_;
  LocalCollective group_;
};

// Seconds of `images` images where `measured` took so many; the floor from the operations of one.
StageRate RateOfImages(const std::string& stage, double seconds, std::int64_t measured, std::int64_t images) {
  const double each = seconds / static_cast<double>(measured);
  return {stage, each * static_cast<double>(images), 1 / each, "images/s", 0};
}

}  // namespace

SearchRates MeasureSearch(const EvaluationOptions& evaluation, const SearchOptions& search, const RunOptions& run,
                          const MachineRates& machine) {
  const c10::InferenceMode no_gradients;
  ReleaseFreedMemory();
  ResetPeakMemory();
  Rank rank(evaluation, run);
  const std::int64_t images = evaluation.num_samples, probe_samples = std::min(images, kProbeSamples);
  const StageSeconds probe = rank.Measure(probe_samples, std::min(evaluation.batch_size, probe_samples));
  const double per_image = probe.measuring() / static_cast<double>(probe_samples);
  const auto affordable = static_cast<std::int64_t>(kStageBudgetSeconds / 2 / per_image);
  const std::int64_t samples = std::clamp(affordable, probe_samples, images);
  const std::int64_t batch = std::min(evaluation.batch_size, samples);
  const StageSeconds measured = samples == probe_samples ? probe : rank.Measure(samples, batch);

  SearchRates rates;
  rates.threads = machine.threads;
  rates.measured_samples = samples;
  rates.measured_batch = batch;
  const double convolution = machine.convolution_flops_per_second, all = static_cast<double>(images);
  StageRate merge = rank.Merge(machine);
  StageRate sample = RateOfImages("sample", measured.sample, samples, images);
  StageRate features = RateOfImages("features", measured.features, samples, images);
  sample.floor_seconds = rank.NetworkFlops() * all / convolution;
  features.floor_seconds = rank.FeaturesFlops() * all / convolution;
  const double distance = measured.reduce + measured.distance;
  rates.stages = {merge, sample, features, {"distance", distance, 1 / distance, "candidates/s", 0}};
  const Evolution evolution(search, rank.trajectory().steps);
  rates.evaluations = evolution.planned_evaluations();
  rates.initial_evaluations = rates.evaluations - search.epochs * search.children;
  rates.bytes_per_rank = ReadMemory().peak_bytes + 4 * rank.trajectory().table.num_elements();
  return rates;
}

double CandidateSeconds(const SearchRates& rates, std::int64_t group_size) {
  double seconds = 0;
  for (const StageRate& stage : rates.stages) {
    // The merge was measured on the group's own part.
    const bool is_shared = stage.stage == "sample" || stage.stage == "features";
    seconds += is_shared ? stage.seconds / static_cast<double>(group_size) : stage.seconds;
  }
  return seconds;
}

double SearchSeconds(const SearchRates& rates, const SearchOptions& search, double candidate_seconds,
                     std::int64_t num_groups) {
  const auto rounds = [&](std::int64_t candidates) {
    return static_cast<double>((candidates + num_groups - 1) / num_groups);
  };
  if (search.schedule != "generational") return rounds(rates.evaluations) * candidate_seconds;
  const double generations = static_cast<double>(search.epochs) * rounds(search.children);
  return (rounds(rates.initial_evaluations) + generations) * candidate_seconds;
}

}  // namespace lcsc
