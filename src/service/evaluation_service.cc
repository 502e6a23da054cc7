#include "lcsc/service/evaluation_service.h"

#include <map>

#include "lcsc/base/error.h"
#include "lcsc/base/stop_signal.h"
#include "lcsc/model/threads.h"

namespace lcsc {

void RunEvaluationService(const World& world, const RunOptions& run, const EvaluatorFactory& make_evaluator,
                          const MasterTask& task) {
  SetArithmeticThreads(ThreadsPerRank(world, run.threads));
  if (world.world_size == 1) {
    if (run.group_size > 1) {
      throw ConfigError("run.group_size = {}: expected 1, for there is one rank; start {} ranks under mpirun",
                        run.group_size, run.group_size + 1);
    }
    LocalCollective group;
    const auto evaluator = make_evaluator(group);
    LocalPool pool(*evaluator);
    task(pool);
    return;
  }
  GroupLayout layout;
  AgreeOnSetUp(world, [&] { layout = PlanGroups(world, run.group_size); });
  const auto group = JoinGroup(world, layout);
  std::unique_ptr<Evaluator> evaluator;
  AgreeOnSetUp(world, [&] {
    if (group) evaluator = make_evaluator(*group);
  });
  if (group) {
    ServeGroup(*group, *evaluator);
    return;
  }
  GroupPool pool({.layout = layout, .queue_depth = static_cast<int>(run.queue_depth)});
  task(pool);
  // After SIGTERM a launcher kills its ranks within a second: a group in the middle of an evaluation is not waited for.
  constexpr double kDrainSeconds = 60, kStoppedDrainSeconds = 0.5;
  if (pool.Close(StopRequested() ? kStoppedDrainSeconds : kDrainSeconds)) return;
  if (StopRequested()) AbortMpi(static_cast<int>(ExitCode::kInterrupted));
  throw CommError("a group of workers did not answer within {} s after the last evaluation", kDrainSeconds);
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
    }
  }
  return outcomes;
}

}  // namespace lcsc
