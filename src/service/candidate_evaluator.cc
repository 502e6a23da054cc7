#include "lcsc/service/candidate_evaluator.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "lcsc/base/error.h"
#include "lcsc/model/registry.h"
#include "lcsc/store/shard_reader.h"

namespace lcsc {
namespace {

double Lap(std::chrono::steady_clock::time_point& start) {
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(now - start).count();
  start = now;
  return seconds;
}

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
    : group_(group), scorer_(options, group) {
  const Trajectory trajectory = ReadTrajectory(options.trajectory);
  merger_ = MakeWeightMerger(trajectory, {group.group_rank(), group.group_size()});
  for (const ParameterRange& part : merger_->parts()) parts_.push_back({part.begin, part.end});
  weights_ = at::zeros({merger_->table().num_elements()}, at::kFloat);
  network_ = MakeDenoiser(nlohmann::json::parse(trajectory.network_json));
  BindFlatWeights(*network_, merger_->table(), weights_, merger_->ReadCarried(), options.trajectory);
  CheckTied(trajectory, *network_);
  network_->eval();
  scorer_.CheckFits(*network_);
}

Outcome CandidateEvaluator::Evaluate(const Candidate& candidate) {
  const std::span<float> weights(weights_.data_ptr<float>(), static_cast<std::size_t>(weights_.numel()));
  StageSeconds seconds;
  auto start = std::chrono::steady_clock::now();
  merger_->Merge(candidate.coefficients, weights);
  seconds.merge = Lap(start);
  group_.AllGather(weights, parts_);
  seconds.gather = Lap(start);
  return scorer_.ScoreNetwork(*network_, seconds);
}

}  // namespace lcsc
