#include "lcsc/service/search_run.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "lcsc/base/log.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/stop_signal.h"

namespace lcsc {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string ScoreText(const EvaluatedCandidate* member) {
  return member == nullptr ? "none" : fmt::format("{:.4f}", *member->outcome.score);
}

std::string MetricsLine(const EvaluatedCandidate& member, const EvaluationPool::Result& result, double seconds) {
  const StageSeconds& stages = member.outcome.seconds;
  nlohmann::json line = {{"seconds", seconds},
                         {"id", member.candidate.id},
                         {"generation", member.candidate.generation},
                         {"group", result.group},
                         {"stage_seconds",
                          {{"merge", stages.merge},
                           {"gather", stages.gather},
                           {"sample", stages.sample},
                           {"features", stages.features},
                           {"reduce", stages.reduce},
                           {"distance", stages.distance}}}};
  if (member.outcome.score) line["score"] = *member.outcome.score;
  if (!member.outcome.metrics.empty()) line["metrics"] = member.outcome.metrics;
  if (!member.outcome.failure.empty()) line["failure"] = member.outcome.failure;
  if (member.candidate.ema_rate) line["ema_rate"] = *member.candidate.ema_rate;
  return line.dump();
}

// One session of a search: from the snapshot that it found to its end or its interruption.
class Session {
 public:
  Session(Strategy& strategy, EvaluationPool& pool, RunDirectory& directory, const RunOptions& options,
          const RunIdentity& identity)
      : strategy_(strategy), pool_(pool), directory_(directory), options_(options), identity_(identity) {}

  SearchSummary Run() {
    Resume();
    if (strategy_.Finished()) return Summary(earlier_utilisation_);
    Publish(RunState::kRunning);
    Progress progress({.title = "search",
                       .unit = "evaluations",
                       .total = strategy_.planned_evaluations(),
                       .done_before = static_cast<std::int64_t>(population_.size())});
    while (!strategy_.Finished() && !StopRequested()) {
      while (pool_.HasRoom()) {
        const auto candidate = strategy_.Ask();
        if (!candidate) break;
        in_flight_[candidate->id] = *candidate;
        pool_.Submit(*candidate);
      }
      constexpr double kPollSeconds = 0.1;
      if (const auto result = pool_.Wait(kPollSeconds)) Record(*result);
      progress.Update(static_cast<std::int64_t>(population_.size()), Detail());
    }
    Publish(strategy_.Finished() ? RunState::kDone : RunState::kInterrupted);
    if (!strategy_.Finished()) spdlog::info("{}: stopped after a clean snapshot", StopSignalName());
    return Summary(pool_.Utilisation());
  }

 private:
  SearchSummary Summary(double utilisation) const {
    return {.interrupted = !strategy_.Finished(),
            .evaluations = static_cast<std::int64_t>(population_.size()),
            .seconds = Seconds(),
            .utilisation = utilisation,
            .population = strategy_.Population()};
  }

  void Resume() {
    const auto snapshot = directory_.ReadSnapshot();
    if (!snapshot) return;
    strategy_.Restore(snapshot->population);
    earlier_seconds_ = snapshot->seconds;
    earlier_utilisation_ = snapshot->utilisation;
    population_ = snapshot->population;
    spdlog::info("resuming {}: {} of {} evaluations are done", directory_.folder().string(), population_.size(),
                 strategy_.planned_evaluations());
  }

  void Record(const EvaluationPool::Result& result) {
    strategy_.Tell(result.candidate_id, result.outcome);
    const auto candidate = in_flight_.find(result.candidate_id);
    population_.push_back({std::move(candidate->second), result.outcome});
    in_flight_.erase(candidate);
    if (!result.outcome.score) {
      spdlog::warn("candidate {} has no score: {}", result.candidate_id, result.outcome.failure);
    }
    directory_.AppendMetrics(MetricsLine(population_.back(), result, Seconds()));
    if (SecondsSince(last_publish_) >= options_.snapshot_interval_s) Publish(RunState::kRunning);
  }

  void Publish(RunState state) {
    directory_.PublishSnapshot({.identity = identity_,
                                .state = state,
                                .planned_evaluations = strategy_.planned_evaluations(),
                                .seconds = Seconds(),
                                .utilisation = pool_.Utilisation(),
                                .population = strategy_.Population()});
    last_publish_ = Clock::now();
  }

  double Seconds() const { return earlier_seconds_ + SecondsSince(start_); }

  std::string Detail() const {
    return fmt::format("best {}  best EMA {}  busy {:.0f}%", ScoreText(BestOf(population_)),
                       ScoreText(BestOf(population_, /*only_ema=*/true)), 100 * pool_.Utilisation());
  }

  Strategy& strategy_;
  EvaluationPool& pool_;
  RunDirectory& directory_;
  const RunOptions& options_;
  const RunIdentity& identity_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_publish_ = start_;
  double earlier_seconds_ = 0;
  double earlier_utilisation_ = 0;
  std::map<std::int64_t, Candidate> in_flight_;
  std::vector<EvaluatedCandidate> population_;  // in the order in which outcomes came
};

}  // namespace

SearchSummary RunSearch(Strategy& strategy, EvaluationPool& pool, RunDirectory& directory, const RunOptions& options,
                        const RunIdentity& identity) {
  return Session(strategy, pool, directory, options, identity).Run();
}

}  // namespace lcsc
