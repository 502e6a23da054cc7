#include "lcsc/service/search_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "lcsc/base/error.h"
#include "lcsc/base/log.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/stop_signal.h"
#include "lcsc/search/race.h"
#include "lcsc/service/live_report.h"

namespace lcsc {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string ScoreText(std::optional<double> score) { return score ? fmt::format("{:.4f}", *score) : "none"; }

double NormOf(const std::vector<double>& values) {
  return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
}

std::string MetricsLine(const Candidate& candidate, const EvaluationPool::Result& result, double seconds) {
  const Outcome& outcome = result.outcome;
  const StageSeconds& stages = outcome.seconds;
  nlohmann::json line = {{"seconds", seconds},
                         {"id", candidate.id},
                         {"generation", candidate.generation},
                         {"group", result.group},
                         {"stage_seconds",
                          {{"merge", stages.merge},
                           {"gather", stages.gather},
                           {"sample", stages.sample},
                           {"features", stages.features},
                           {"reduce", stages.reduce},
                           {"distance", stages.distance}}}};
  if (candidate.wants_gradient) {
    line["stage_seconds"].update({{"backward", stages.backward}, {"project", stages.project}});
    line["gradient_norm"] = NormOf(outcome.gradient);
  }
  if (IsStopped(outcome)) line["stopped"] = true;
  if (candidate.noise_block != 0) line["noise_block"] = candidate.noise_block;
  if (outcome.score) line["score"] = *outcome.score;
  if (!outcome.metrics.empty()) line["metrics"] = outcome.metrics;
  if (!outcome.failure.empty()) line["failure"] = outcome.failure;
  if (candidate.ema_rate) line["ema_rate"] = *candidate.ema_rate;
  if (candidate.seen) line["seen"] = *candidate.seen;
  return line.dump();
}

// One session of a search: from the snapshot that it found to its end or its interruption.
class Session {
 public:
  Session(Strategy& strategy, EvaluationPool& pool, RunDirectory* directory, const RunOptions& options,
          const RunIdentity& identity)
      : strategy_(strategy),
        pool_(pool),
        directory_(directory),
        options_(options),
        identity_(identity),
        live_(directory != nullptr ? directory->folder() / "live.json" : "") {}

  SearchSummary Run() {
    Resume();
    if (strategy_.Finished()) return Summary(earlier_utilisation_, /*stage_share=*/0);
    Publish(RunState::kRunning);
    if (directory_ != nullptr) NoteCrashes();
    Progress progress({.title = "search",
                       .unit = "evaluations",
                       .total = strategy_.planned_evaluations(),
                       .done_before = evaluations_});
    while (!strategy_.Finished() && !StopRequested()) {
      while (pool_.HasRoom()) {
        const auto candidate = strategy_.Ask();
        if (!candidate) break;
        Submit(*candidate);
      }
      RecordAll(kPollSeconds);
      if (SecondsSince(last_shown_) < kPollSeconds) continue;
      Show(progress);
      if (live_.IsDue()) WriteLive(RunState::kRunning);
      if (const auto hang = pool_.FindHang()) GiveUp(*hang);
    }
    Show(progress);
    const RunState end = strategy_.Finished() ? RunState::kDone : RunState::kInterrupted;
    Publish(end);
    WriteLive(end);
    if (end == RunState::kInterrupted) Explain();
    return Summary(pool_.Utilisation(), pool_.StageShare());
  }

 private:
  static constexpr double kPollSeconds = 0.1;
  static constexpr std::int64_t kMostJournalBytes = 64 << 20;

  [[noreturn]] void GiveUp(const Hang& hang) {
    if (directory_ != nullptr) {
      if (hang.candidate_id) directory_->Append(Accusation{*hang.candidate_id, hang.text});
      directory_->SyncJournal();
      directory_->FlushMetrics();
    }
    throw LostRankError("{}", hang.text);
  }

  // A launcher that has lost a rank stops the others as it stops a job that is no longer wanted.
  void Explain() const {
    spdlog::info("{}: stopped after a clean snapshot", StopSignalName());
    if (const std::string gone = pool_.DescribeGone(); !gone.empty()) spdlog::error("{}", gone);
  }

  void WriteLive(RunState state) {
    live_.Write({.state = RunStateName(state),
                 .evaluations = evaluations_,
                 .planned_evaluations = strategy_.planned_evaluations(),
                 .session_evaluations = evaluations_ - earlier_evaluations_,
                 .session_seconds = SecondsSince(start_),
                 .best_score = best_,
                 .best_ema_score = best_ema_},
                pool_.Activities());
  }

  SearchSummary Summary(double utilisation, double stage_share) const {
    return {.interrupted = !strategy_.Finished(),
            .evaluations = evaluations_,
            .seconds = Seconds(),
            .utilisation = utilisation,
            .stage_share = stage_share,
            .session_evaluations = evaluations_ - earlier_evaluations_,
            .session_seconds = SecondsSince(start_),
            .population = strategy_.Population()};
  }

  void Resume() {
    if (directory_ == nullptr) return;
    auto snapshot = directory_->Recover();
    if (!snapshot) return;
    accusations_ = std::move(snapshot->accusations);
    earlier_seconds_ = snapshot->seconds;
    earlier_utilisation_ = snapshot->utilisation;
    for (const EvaluatedCandidate& member : snapshot->population) Count(member.candidate, member.outcome);
    earlier_evaluations_ = evaluations_;
    strategy_.Restore({std::move(snapshot->population), std::move(snapshot->in_flight)});
    spdlog::info("resuming {}: {} of {} evaluations are done", directory_->folder().string(), evaluations_,
                 strategy_.planned_evaluations());
  }

  void Count(const Candidate& candidate, const Outcome& outcome) {
    ++evaluations_;
    const auto keep_best = [&](std::optional<double>& best) {
      if (outcome.score && (!best || *outcome.score < *best)) best = outcome.score;
    };
    if (candidate.wants_gradient) return;  // on noise that no result is chosen by
    const auto best_before = best_;
    keep_best(best_);
    if (best_ != best_before) live_.Improved(evaluations_, *best_);
    if (candidate.ema_rate) keep_best(best_ema_);
  }

  // Evaluates the candidate, or gives it up when it has ended its worker too often.
  void Submit(const Candidate& candidate) {
    in_flight_[candidate.id] = candidate;
    std::string reasons;
    std::int64_t count = 0;
    for (const Accusation& accusation : accusations_) {
      if (accusation.candidate_id != candidate.id) continue;
      ++count;
      reasons += (reasons.empty() ? "" : "; ") + accusation.reason;
    }
    if (options_.max_crashes > 0 && count >= options_.max_crashes) {
      Outcome given_up;
      given_up.failure = fmt::format("its worker was lost {} times: {}", count, reasons);
      Record({.candidate_id = candidate.id, .outcome = std::move(given_up)});
      if (directory_ != nullptr) directory_->SyncJournal();
      return;
    }
    if (directory_ != nullptr && candidate.seen) directory_->Append(candidate);
    pool_.Submit(candidate);
  }

  // What has come, one outcome or several: all are on the disk before the next candidate is asked for.
  void RecordAll(double timeout_s) {
    for (auto result = pool_.Wait(timeout_s); result; result = pool_.Wait(0)) Record(*result);
    if (directory_ == nullptr) return;
    directory_->SyncJournal();
    if (SecondsSince(last_publish_) >= options_.snapshot_interval_s ||
        directory_->journal_bytes() > kMostJournalBytes) {
      Publish(RunState::kRunning);
    }
  }

  // What workers that crashed have left behind becomes part of the run. The ranks of a group crash together: that is
  // one crash of their candidate. And a kill may have kept a report that was noted from being removed.
  void NoteCrashes() {
    const std::vector<CrashReport> reports = directory_->ReadCrashReports();
    std::set<std::int64_t> accused;
    for (const CrashReport& report : reports) {
      if (!report.accusation || std::ranges::count(accusations_, *report.accusation) > 0) continue;
      if (accused.insert(report.accusation->candidate_id).second) accusations_.push_back(*report.accusation);
    }
    if (reports.empty()) return;
    Publish(RunState::kRunning);
    for (const CrashReport& report : reports) std::filesystem::remove(report.path);
  }

  void Record(const EvaluationPool::Result& result) {
    strategy_.Tell(result.candidate_id, result.outcome);
    const auto candidate = in_flight_.find(result.candidate_id);
    if (directory_ != nullptr) directory_->Append(EvaluatedCandidate{candidate->second, result.outcome});
    Count(candidate->second, result.outcome);
    if (!result.outcome.score && !IsStopped(result.outcome)) {
      spdlog::warn("candidate {} has no score: {}", result.candidate_id, result.outcome.failure);
    }
    if (directory_ != nullptr) directory_->AppendMetrics(MetricsLine(candidate->second, result, Seconds()));
    in_flight_.erase(candidate);
  }

  void Publish(RunState state) {
    if (directory_ == nullptr) return;
    SearchState searched = strategy_.State();
    directory_->PublishSnapshot({.identity = identity_,
                                 .state = state,
                                 .planned_evaluations = strategy_.planned_evaluations(),
                                 .seconds = Seconds(),
                                 .utilisation = pool_.Utilisation(),
                                 .population = std::move(searched.population),
                                 .in_flight = std::move(searched.in_flight),
                                 .accusations = accusations_});
    last_publish_ = Clock::now();
  }

  double Seconds() const { return earlier_seconds_ + SecondsSince(start_); }

  void Show(Progress& progress) {
    if (directory_ != nullptr) directory_->FlushMetrics();
    progress.Update(evaluations_, fmt::format("best {}  best EMA {}  busy {:.0f}%", ScoreText(best_),
                                              ScoreText(best_ema_), 100 * pool_.Utilisation()));
    last_shown_ = Clock::now();
  }

  Strategy& strategy_;
  EvaluationPool& pool_;
  RunDirectory* directory_;
  const RunOptions& options_;
  const RunIdentity& identity_;
  LiveReport live_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_publish_ = start_, last_shown_ = start_;
  double earlier_seconds_ = 0;
  double earlier_utilisation_ = 0;
  std::int64_t earlier_evaluations_ = 0;
  std::int64_t evaluations_ = 0;
  std::optional<double> best_, best_ema_;
  std::map<std::int64_t, Candidate> in_flight_;
  std::vector<Accusation> accusations_;
};

}  // namespace

SearchSummary RunSearch(Strategy& strategy, EvaluationPool& pool, RunDirectory* directory, const RunOptions& options,
                        const RunIdentity& identity) {
  return Session(strategy, pool, directory, options, identity).Run();
}

}  // namespace lcsc
