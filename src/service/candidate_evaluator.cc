#include "lcsc/service/candidate_evaluator.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lcsc/base/error.h"
#include "lcsc/model/registry.h"
#include "lcsc/store/shard_reader.h"

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

CandidateEvaluator::CandidateEvaluator(const EvaluationOptions& options, Collective& group)
    : merging_(group.Duplicate()), scoring_(group.Duplicate()), scorer_(options, *scoring_) {
  constexpr int kSlots = 2;
  const Trajectory trajectory = ReadTrajectory(options.trajectory);
  merger_ = MakeWeightMerger(trajectory, {group.group_rank(), group.group_size()});
  for (const ParameterRange& part : merger_->parts()) parts_.push_back({part.begin, part.end});
  const NamedTensors carried = merger_->ReadCarried();
  for (int i = 0; i < kSlots; ++i) {
    Slot slot{at::zeros({merger_->table().num_elements()}, at::kFloat),
              MakeDenoiser(nlohmann::json::parse(trajectory.network_json))};
    BindFlatWeights(*slot.network, merger_->table(), slot.weights, carried, options.trajectory);
    slot.network->eval();
    slots_.push_back(std::move(slot));
  }
  CheckTied(trajectory, *slots_.front().network);
  for (const Slot& slot : slots_) scorer_.CheckFits(*slot.network);
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
  job.measured = scorer_.Draw(*slots_.at(static_cast<std::size_t>(job.slot)).network, job.spans);
}

void CandidateEvaluator::Finish(EvaluationJob& job) {
  const Measurement measurement = scorer_.Finish(static_cast<Tally&>(*job.measured), job.spans);
  job.measured.reset();
  job.outcome = scorer_.OutcomeOf(measurement, job.spans);
}

}  // namespace lcsc
