#include "lcsc/service/candidate_evaluator.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lcsc/base/error.h"
#include "lcsc/base/memory.h"
#include "lcsc/base/progress.h"
#include "lcsc/comm/group.h"
#include "lcsc/model/registry.h"
#include "lcsc/model/threads.h"
#include "lcsc/store/shard_reader.h"
#include "weight_gradient.h"

namespace lcsc {
namespace {

at::Tensor RowsOf(const Trajectory& trajectory, const TensorEntry& entry) {
  const Shard shard = ReadShard(trajectory, {entry.offset, entry.offset + entry.num_elements()}, Verify::kNo);
  return at::cat({shard.base.unsqueeze(0), shard.deltas.to(at::kFloat)});
}

// A network with one tensor for two names computes with what was written last.
void CheckTied(const Trajectory& trajectory, const Denoiser& network) {
  if (trajectory.lora) return;  // its factors change the tensor under the one name that they have
  const auto& entries = trajectory.table.entries();
  for (const TiedTensors& tied : TiedTensorsOf(network)) {
    const auto one = std::ranges::find(entries, tied.one, &TensorEntry::name);
    const auto other = std::ranges::find(entries, tied.other, &TensorEntry::name);
    if (one == entries.end() || other == entries.end()) continue;
    if (!RowsOf(trajectory, *one).equal(RowsOf(trajectory, *other))) RefuseTied(tied, trajectory.folder.string());
  }
}

}  // namespace

CandidateEvaluator::CandidateEvaluator(const EvaluationOptions& options, Collective& group,
                                       const EvaluatorLimits& limits)
    : plan_{.program = ReadMemory().resident_bytes, .budget = limits.memory},
      merging_(group.Duplicate()),
      scoring_(group.Duplicate()),
      scorer_(options, *scoring_) {
  if (limits.gpu >= 0) scorer_.ChooseDistanceDevice(limits.gpu);
  if (limits.gradients) {
    if (limits.merges_on_gpu) {
      throw ConfigError("run.merge: gradients expect cpu, where derivatives are projected, found cuda");
    }
    scorer_.PrepareGradients({.every = limits.backward_every, .noise_blocks = limits.noise_blocks});
    differentiating_ = merging_->Duplicate();
  }
  if (limits.races) {
    scorer_.PrepareRace();
    racing_ = merging_->Duplicate();
  }
  const Trajectory trajectory = ReadTrajectory(options.trajectory);
  if (limits.memory.is_given) MeasureBatch(trajectory);
  MakeMerger(trajectory, limits);
  MakeNetworks(trajectory, options.trajectory);
  CheckTied(trajectory, *slots_.front().network);
  for (const Slot& slot : slots_) scorer_.CheckFits(*slot.network);
  if (differentiating_) scorer_.CheckDifferentiates(*slots_.front().network, merger_->table());
  ReleaseFreedMemory();
}

// With weights as they are drawn at first: their values do not change what is needed.
void CandidateEvaluator::MeasureBatch(const Trajectory& trajectory) {
  ResetPeakMemory();
  {
    const auto network = MakeDenoiser(nlohmann::json::parse(trajectory.network_json));
    network->eval();
    scorer_.CheckFits(*network);
    scorer_.Rehearse(*network);
    if (differentiating_ && !trajectory.lora) scorer_.RehearseGradient(*network, trajectory.table);
  }
  ReleaseFreedMemory();  // the thread that draws will ask for its own
  plan_.batch = std::max<std::int64_t>(0, ReadMemory().peak_bytes - plan_.program);
}

void CandidateEvaluator::MakeMerger(const Trajectory& trajectory, const EvaluatorLimits& limits) {
  constexpr std::int64_t kMaxBatch = 8;
  const GroupPlace place = {merging_->group_rank(), merging_->group_size()};
  network_bytes_ = 4 * trajectory.table.num_elements();
  plan_.statistics = scorer_.StatisticsBytes();
  // One number in float64 for each weight, and the sums of this rank's part of them.
  const std::int64_t gradient_bytes =
      limits.gradients ? 2 * network_bytes_ + 2 * network_bytes_ / merging_->group_size() : 0;
  plan_.weights = static_cast<std::int64_t>(slots_.size()) * network_bytes_ + gradient_bytes;
  MergeOptions options;
  if (limits.memory.bytes > 0) {
    const std::int64_t usable = limits.memory.bytes - limits.memory.bytes / 16;  // less what libraries keep
    std::int64_t left = usable - plan_.total();
    if (left <= 0) {
      throw ConfigError(
          "run.memory_budget: program, networks, statistics and a batch of samples need {} on a rank, found {}; give "
          "more, or choose a smaller evaluation.batch_size",
          FormatBytes(static_cast<double>(plan_.total())), FormatBytes(static_cast<double>(limits.memory.bytes)));
    }
    if (!trajectory.lora && MergeMemoryOf(trajectory, place, {left}).is_streamed) {
      const std::int64_t fitting = left / 2 / std::max<std::int64_t>(1, network_bytes_);
      const std::int64_t batch =
          std::clamp<std::int64_t>(fitting, 1, std::min<std::int64_t>(kMaxBatch, limits.max_batch));
      slots_.resize(static_cast<std::size_t>(batch) + 1);
      plan_.weights = (batch + 1) * network_bytes_ + gradient_bytes;
      left = usable - plan_.total();
    }
    options.budget_bytes = left;
  }
  if (limits.merges_on_gpu) options.cuda_device = limits.gpu;
  const MergeMemory memory = MergeMemoryOf(trajectory, place, options);
  plan_.shard = memory.held_bytes;
  plan_.weights += memory.scratch_bytes;
  plan_.streamed = memory.streamed_bytes;
  merger_ = MakeWeightMerger(trajectory, place, options);
  for (const ParameterRange& part : merger_->parts()) parts_.push_back({part.begin, part.end});
}

void CandidateEvaluator::MakeNetworks(const Trajectory& trajectory, const std::string& origin) {
  const NamedTensors carried = merger_->ReadCarried();
  for (Slot& slot : slots_) {
    slot.weights = at::zeros({merger_->table().num_elements()}, at::kFloat);
    slot.network = MakeDenoiser(nlohmann::json::parse(trajectory.network_json));
    BindFlatWeights(*slot.network, merger_->table(), slot.weights, carried, origin);
    slot.network->eval();
  }
}

void CandidateEvaluator::EnterThread() { AdoptArithmeticThreads(); }

void CandidateEvaluator::AgreeWithGroup() {
  std::vector<float> counts(static_cast<std::size_t>(merging_->group_size()));
  counts[static_cast<std::size_t>(merging_->group_rank())] = static_cast<float>(slots_.size());
  merging_->AllGather(counts, SplitEvenly(merging_->group_size(), merging_->group_size()));
  const auto fewest = static_cast<std::size_t>(std::ranges::min(counts));
  plan_.weights -= static_cast<std::int64_t>(slots_.size() - fewest) * network_bytes_;
  slots_.resize(fewest);
}

void CandidateEvaluator::Prepare(std::span<EvaluationJob> jobs) {
  std::vector<std::span<const double>> coefficients;
  std::vector<std::span<float>> weights;
  for (const EvaluationJob& job : jobs) {
    const at::Tensor& flat = slots_.at(static_cast<std::size_t>(job.slot)).weights;
    coefficients.emplace_back(job.candidate.coefficients);
    weights.emplace_back(flat.data_ptr<float>(), static_cast<std::size_t>(flat.numel()));
  }
  {
    const StageTimer timer(Stage::kMerge, jobs.front().spans);  // of the whole batch
    merger_->MergeBatch(coefficients, weights);
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const StageTimer timer(Stage::kGather, jobs[i].spans);
    merging_->AllGather(weights[i], parts_);
  }
}

void CandidateEvaluator::Measure(EvaluationJob& job) {
  Denoiser& network = *slots_.at(static_cast<std::size_t>(job.slot)).network;
  if (racing_ && !job.candidate.wants_gradient) {
    job.measured = scorer_.Race(network, job.candidate, *racing_, job.spans);
    return;
  }
  job.measured = scorer_.Draw(network, job.spans, job.candidate.noise_block);
  if (job.candidate.wants_gradient) job.outcome.gradient = Differentiate(job);
}

std::vector<double> CandidateEvaluator::Differentiate(EvaluationJob& job) {
  LCSC_CHECK(differentiating_ != nullptr);
  auto& tally = static_cast<Tally&>(*job.measured);
  const auto of_features = scorer_.GradientOf(tally, *differentiating_, job.spans);
  if (!of_features) return {};
  Denoiser& network = *slots_.at(static_cast<std::size_t>(job.slot)).network;
  WeightGradient of_weights(network, merger_->table());
  scorer_.AddWeightGradient(network, *of_features, job.candidate, tally, of_weights, job.spans);
  const StageTimer timer(Stage::kProject, job.spans);
  if (!Scorer::FailureOfAny(tally.failure, *differentiating_).empty()) return {};
  differentiating_->ReduceScatter(of_weights.flat(), parts_);
  std::vector<double> gradient = merger_->Project(of_weights.flat());
  differentiating_->ReduceToLeader(gradient);
  if (!differentiating_->IsLeader()) return {};
  if (!std::ranges::all_of(gradient, [](double slope) { return std::isfinite(slope); })) {
    tally.failure = "non-finite gradient";
    return {};
  }
  return gradient;
}

void CandidateEvaluator::Finish(EvaluationJob& job) {
  const Measurement measurement = scorer_.Finish(static_cast<Tally&>(*job.measured), job.spans);
  job.measured.reset();
  std::vector<double> gradient = std::move(job.outcome.gradient);
  job.outcome = scorer_.OutcomeOf(measurement, job.spans);
  if (job.outcome.score) job.outcome.gradient = std::move(gradient);
}

EvaluatorLimits LimitsOf(const World& world, const RunOptions& run) {
  return {.memory = BudgetOf(world, run),
          .max_batch = std::max(1, static_cast<int>(run.queue_depth) - 1),
          .gpu = FindRankGpu(NodeLocalWorker(world)).device,
          .merges_on_gpu = run.merge == "cuda"};
}

}  // namespace lcsc
