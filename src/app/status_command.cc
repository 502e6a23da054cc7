#include <cstdio>
#include <ctime>

#include "app/command.h"
#include "app/report.h"
#include "app/watch.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/table.h"
#include "lcsc/search/race.h"
#include "lcsc/state/run_directory.h"

namespace lcsc {
namespace {

// Absent in runs of before there were objectives.
constexpr const char* kObjective = "evaluation.objective";

std::string ScoreName(const std::string& objective) { return objective == "fid" ? "FID" : objective; }

class StatusCommand : public Command {
 public:
  std::string name() const override { return "status"; }
  std::string summary() const override { return "shows what a search has found, while it runs and afterwards"; }

  void AddOptions(OptionSet& set) override {
    set.AddPositional({"", "run", "path", "the run directory"}, &run_);
    set.AddFlag({"", "candidates", "", "list every candidate; with --json also its coefficients"}, &candidates_);
    set.AddFlag(
        {"", "watch", "",
         "a live table until the search ends: groups, hosts, stages, candidates per hour, ETA, the best score's "
         "curve; with --json a JSON object in a line each time"},
        &watch_);
    set.Add({"", "interval", "s", "with --watch: time between two looks"}, &interval_s_, {0.1, 86400});
    AddJsonFlag(set, &json_);
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    if (world.world_rank != 0) return ExitCode::kDone;
    set.Require("run");
    if (watch_) {
      WatchRun({.run = run_, .interval_s = interval_s_, .json = json_});
      return ExitCode::kDone;
    }
    const RunDirectory directory = RunDirectory::OpenExisting(run_);
    const PopulationSnapshot snapshot = *directory.ReadSnapshot();
    std::fputs((json_ ? Json(snapshot).dump() + "\n" : Text(snapshot)).c_str(), stdout);
    return ExitCode::kDone;
  }

 private:
  nlohmann::json Json(const PopulationSnapshot& snapshot) const {
    const EvaluatedCandidate* best = BestOf(snapshot.population);
    nlohmann::json json = {{"state", RunStateName(snapshot.state)},
                           {"evaluations", snapshot.population.size()},
                           {"planned_evaluations", snapshot.planned_evaluations},
                           {"best_score", ScoreJson(best)},
                           {"best_candidate", best == nullptr ? nlohmann::json() : nlohmann::json(best->candidate.id)},
                           {"best_ema_score", ScoreJson(BestOf(snapshot.population, /*only_ema=*/true))},
                           {"seconds", snapshot.seconds},
                           {"utilisation", snapshot.utilisation},
                           {"updated", snapshot.updated_s},
                           {"identity", snapshot.identity},
                           {"run", run_}};
    const Moment moment = LookAtLiveView(run_, ObserverHere());
    json["live"] = moment.liveness == Liveness::kLive ? JsonOf(moment.view) : nlohmann::json();
    if (!candidates_) return json;
    json["candidates"] = nlohmann::json::array();
    for (const EvaluatedCandidate& member : snapshot.population) {
      nlohmann::json entry = {{"id", member.candidate.id},
                              {"generation", member.candidate.generation},
                              {"parents", member.candidate.parents},
                              {"coefficients", member.candidate.coefficients},
                              {"score", ScoreJson(member.outcome.score ? &member : nullptr)}};
      if (member.candidate.ema_rate) entry["ema_rate"] = *member.candidate.ema_rate;
      if (member.candidate.seen) entry["seen"] = *member.candidate.seen;
      if (member.order) entry["order"] = *member.order;
      if (member.candidate.noise_block != 0) entry["noise_block"] = member.candidate.noise_block;
      if (!member.outcome.gradient.empty()) entry["gradient"] = member.outcome.gradient;
      if (!member.outcome.metrics.empty()) entry["metrics"] = member.outcome.metrics;
      if (!member.outcome.failure.empty()) entry["failure"] = member.outcome.failure;
      if (IsStopped(member.outcome)) entry["stopped"] = true;
      json["candidates"].push_back(std::move(entry));
    }
    return json;
  }

  std::string Text(const PopulationSnapshot& snapshot) const {
    const auto identity = [&](const std::string& key) {
      const auto entry = snapshot.identity.find(key);
      return entry == snapshot.identity.end() ? std::string("?") : entry->second;
    };
    const auto score = [](const EvaluatedCandidate* member) {
      return member == nullptr ? std::string("none yet")
                               : fmt::format("{:.4f} ({})", *member->outcome.score, CandidateText(member->candidate));
    };
    Table table({"what", "value"});
    table.AddRow({"state", RunStateName(snapshot.state)});
    const Moment moment = LookAtLiveView(run_, ObserverHere());
    table.AddRow({"search", moment.headline});
    if (moment.liveness == Liveness::kLive && moment.view.eta_s) {
      table.AddRow({"ETA", FormatDuration(*moment.view.eta_s)});
    }
    table.AddRow({"evaluations", fmt::format("{} of {}", snapshot.population.size(), snapshot.planned_evaluations)});
    table.AddRow({"best score", score(BestOf(snapshot.population))});
    table.AddRow({"best EMA", score(BestOf(snapshot.population, /*only_ema=*/true))});
    const std::string objective = snapshot.identity.contains(kObjective) ? identity(kObjective) : "fid";
    table.AddRow({"scores are", fmt::format("{}, search noise seed {}, {} samples", ScoreName(objective),
                                            identity("evaluation.seed"), identity("evaluation.num_samples"))});
    for (const char* file : {"extractor", "reference"}) {
      table.AddRow({fmt::format("{} digest", file), identity(fmt::format("digest of evaluation.{}", file))});
    }
    table.AddRow({"time", FormatDuration(snapshot.seconds)});
    table.AddRow({"groups sampling", fmt::format("{:.0f}%", 100 * snapshot.utilisation)});
    table.AddRow(
        {"last snapshot", FormatDuration(static_cast<double>(std::time(nullptr) - snapshot.updated_s)) + " ago"});
    std::string text = table.ToString();
    if (!candidates_) return text;
    Table list({"id", "generation", "parents", ScoreName(objective) + " (search noise)"});
    for (const EvaluatedCandidate& member : snapshot.population) {
      const auto& [first, second] = member.candidate.parents;
      const std::string origin =
          first == kNoParent ? CandidateText(member.candidate) : fmt::format("{}, {}", first, second);
      list.AddRow({fmt::format("{}", member.candidate.id), fmt::format("{}", member.candidate.generation), origin,
                   member.outcome.score        ? fmt::format("{:.4f}", *member.outcome.score)
                   : IsStopped(member.outcome) ? "race lost"
                                               : member.outcome.failure});
    }
    return text + "\n" + list.ToString();
  }

  std::string run_;
  bool candidates_ = false, watch_ = false, json_ = false;
  double interval_s_ = 2;
};

}  // namespace

std::unique_ptr<Command> MakeStatusCommand() { return std::make_unique<StatusCommand>(); }

}  // namespace lcsc
