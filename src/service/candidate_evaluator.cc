#include "lcsc/service/candidate_evaluator.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "lcsc/base/error.h"
#include "lcsc/model/registry.h"
#include "lcsc/store/shard_reader.h"

namespace lcsc {
namespace {

Part OwnPart(const std::vector<Part>& parts, const Collective& group) {
  return parts[static_cast<std::size_t>(group.group_rank())];
}

double Lap(std::chrono::steady_clock::time_point& start) {
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(now - start).count();
  start = now;
  return seconds;
}

}  // namespace

CandidateEvaluator::CandidateEvaluator(const EvaluationOptions& options, Collective& group)
    : group_(group), scorer_(options, group) {
  const Trajectory trajectory = ReadTrajectory(options.trajectory);
  const std::int64_t num_parameters = trajectory.table.num_elements();
  parts_ = SplitEvenly(num_parameters, group.group_size());
  const Part own = OwnPart(parts_, group);
  merger_ = std::make_unique<Merger>(ReadShard(trajectory, {own.begin, own.end}));
  weights_ = at::zeros({num_parameters}, at::kFloat);
  network_ = MakeDenoiser(nlohmann::json::parse(trajectory.network_json));
  BindFlatWeights(*network_, trajectory.table, weights_, trajectory.carried, options.trajectory);
  network_->eval();
  scorer_.CheckFits(*network_);
}

Outcome CandidateEvaluator::Evaluate(const Candidate& candidate) {
  const Part own = OwnPart(parts_, group_);
  float* weights = weights_.data_ptr<float>();
  StageSeconds seconds;
  auto start = std::chrono::steady_clock::now();
  merger_->Merge(candidate.coefficients, {weights + own.begin, static_cast<std::size_t>(own.size())});
  seconds.merge = Lap(start);
  group_.AllGather({weights, static_cast<std::size_t>(weights_.numel())}, parts_);
  seconds.gather = Lap(start);
  return scorer_.ScoreNetwork(*network_, seconds);
}

}  // namespace lcsc
