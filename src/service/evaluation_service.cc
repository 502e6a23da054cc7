#include "lcsc/service/evaluation_service.h"

#include <map>

#include "lcsc/base/error.h"
#include "lcsc/base/log.h"
#include "lcsc/base/stage_board.h"
#include "lcsc/base/stop_signal.h"
#include "lcsc/model/threads.h"

namespace lcsc {

namespace {

Overlap OverlapOf(const RunOptions& run) { return run.overlap == "on" ? Overlap::kOn : Overlap::kOff; }

CollectiveKind CollectiveOf(const RunOptions& run) {
  if (run.collective == "nccl") return CollectiveKind::kNccl;
  return run.collective == "mpi" ? CollectiveKind::kMpi : CollectiveKind::kAuto;
}

// Rank 0 says what the ranks hold. Collective.
void ShowPlans(const World& world, const MemoryPlan& own) {
  const std::string table = DescribePlans(world, own);
  if (!table.empty()) spdlog::info("memory of each rank, planned:\n{}", table);
}

void ShowPeak(const World& world, const MemoryPlan& own) {
  const std::string line = DescribePeak(world, own);
  if (!line.empty()) spdlog::info("{}", line);
}

std::unique_ptr<StagedEvaluator> SetUp(const EvaluatorFactory& make_evaluator, Collective& group) {
  const StageScope scope("set-up");
  return make_evaluator(group);
}

void RunAlone(const World& world, const RunOptions& run, const EvaluatorFactory& make_evaluator, const MasterTask& task,
              Trace* trace) {
  if (run.group_size > 1) {
    throw ConfigError("run.group_size = {}: expected 1, for there is one rank; start {} ranks under mpirun",
                      run.group_size, run.group_size + 1);
  }
  const RankGpu gpu = FindRankGpu(NodeLocalWorker(world));
  ChooseCollective(CollectiveOf(run), {&gpu, 1});  // refuses what one rank could not do with others either
  LocalCollective group;
  const auto evaluator = SetUp(make_evaluator, group);
  evaluator->AgreeWithGroup();
  ShowPlans(world, evaluator->memory_plan());
  LocalPool pool(*evaluator,
                 {.queue_depth = static_cast<int>(run.queue_depth), .overlap = OverlapOf(run), .trace = trace});
  task(pool);
  ShowPeak(world, evaluator->memory_plan());
}

// The interval, or 0 for none.
double HeartbeatsOf(const World& world) {
  return world.threads_may_communicate ? HeartbeatInterval(world.world_size) : 0;
}

void RunMaster(const World& world, const RunOptions& run, const GroupLayout& layout, const MasterTask& task,
               Trace* trace) {
  GroupPool pool({.layout = layout,
                  .queue_depth = static_cast<int>(run.queue_depth),
                  .trace = trace,
                  .hang_timeout_s = run.hang_timeout_s,
                  .heartbeat_interval_s = HeartbeatsOf(world)});
  task(pool);
  // After SIGTERM a launcher kills its ranks within a second: a group in the middle of an evaluation is not waited for.
  constexpr double kDrainSeconds = 60, kStoppedDrainSeconds = 0.5;
  if (pool.Close(StopRequested() ? kStoppedDrainSeconds : kDrainSeconds)) return;
  if (StopRequested()) AbortMpi(static_cast<int>(ExitCode::kInterrupted));
  throw LostRankError(
      "a rank did not answer within {} s after the last evaluation; what was evaluated is kept, and the same command "
      "goes on",
      kDrainSeconds);
}

void RunGroups(const World& world, const RunOptions& run, const EvaluatorFactory& make_evaluator,
               const MasterTask& task, Trace* trace) {
  GroupLayout layout;
  AgreeOnSetUp(world, [&] { layout = PlanGroups(world, run.group_size); });
  std::unique_ptr<Collective> group;
  AgreeOnSetUp(world, [&] { group = JoinGroup(world, layout, CollectiveOf(run)); });
  std::unique_ptr<StagedEvaluator> evaluator;
  AgreeOnSetUp(world, [&] {
    if (group) evaluator = SetUp(make_evaluator, *group);
  });
  if (evaluator) evaluator->AgreeWithGroup();
  const MemoryPlan plan = evaluator ? evaluator->memory_plan() : MemoryPlan();
  ShowPlans(world, plan);
  if (group) {
    const Overlap overlap = world.threads_may_communicate ? OverlapOf(run) : Overlap::kOff;
    ServeGroup(*group, *evaluator, {.overlap = overlap, .trace = trace, .heartbeat_interval_s = HeartbeatsOf(world)});
  } else {
    if (!world.threads_may_communicate) {
      spdlog::warn(
          "this MPI lets only one thread communicate: no heartbeats; a rank that hangs is missed by its outcomes");
    }
    RunMaster(world, run, layout, task, trace);
  }
  ShowPeak(world, plan);
}

}  // namespace

void RunEvaluationService(const World& world, const RunOptions& run, const EvaluatorFactory& make_evaluator,
                          const MasterTask& task) {
  SetArithmeticThreads(ThreadsPerRank(world, run.threads));
  std::optional<Trace> trace;
  if (!run.trace.empty()) trace.emplace(world);
  Trace* const kept = trace ? &*trace : nullptr;
  if (world.world_size == 1) {
    RunAlone(world, run, make_evaluator, task, kept);
  } else {
    RunGroups(world, run, make_evaluator, task, kept);
  }
  if (trace) trace->Write(world, run.trace);
}

std::vector<Outcome> EvaluateAll(EvaluationPool& pool, const std::vector<Candidate>& candidates,
                                 const std::function<void(std::size_t done)>& shown) {
  constexpr double kPollSeconds = 1;
  std::map<std::int64_t, std::size_t> places;
  std::vector<Outcome> outcomes(candidates.size());
  std::size_t submitted = 0, done = 0;
  while (done < candidates.size()) {
    while (submitted < candidates.size() && pool.HasRoom()) {
      places[candidates[submitted].id] = submitted;
      pool.Submit(candidates[submitted++]);
    }
    if (auto result = pool.Wait(kPollSeconds)) {
      outcomes[places.at(result->candidate_id)] = std::move(result->outcome);
      shown(++done);
    } else if (const auto hang = pool.FindHang()) {
      throw LostRankError("{}", hang->text);
    }
  }
  return outcomes;
}

}  // namespace lcsc
