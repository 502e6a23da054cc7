#include <cstdio>

#include "app/command.h"
#include "app/identity.h"
#include "app/report.h"
#include "lcsc/base/crash_report.h"
#include "lcsc/base/log.h"
#include "lcsc/base/stop_signal.h"
#include "lcsc/comm/gather.h"
#include "lcsc/model/registry.h"
#include "lcsc/search/strategy.h"
#include "lcsc/service/candidate_evaluator.h"
#include "lcsc/service/evaluation_service.h"
#include "lcsc/service/image_source.h"
#include "lcsc/service/search_run.h"

namespace lcsc {
namespace {

class SearchCommand : public Command {
 public:
  std::string name() const override { return "search"; }
  std::string summary() const override {
    return "searches for the best coefficients (LCSC, Alg. 1); under mpirun rank 0 is the master";
  }

  void AddOptions(OptionSet& set) override {
    set.Add({"", "run", "path", "the run directory; overrides run.directory. The same command resumes it"}, &run_);
    set.Add({"", "trace", "path",
             "write what every rank did when: a Chrome trace, to be opened in chrome://tracing or ui.perfetto.dev"},
            &file_.run.trace);
    set.Add({"", "memory-budget", "GiB", "host memory of each rank; overrides run.memory_budget unless 0"},
            &memory_budget_, {0, 1e6});
    set.Add({"", "max-hours", "h", "stop cleanly after this time; overrides run.max_hours unless 0"}, &max_hours_,
            {0, 1e6});
    set.AddFlag({"", "where", "", "print the run directory that these options give, and do nothing else"}, &where_);
    AddJsonFlag(set, &json_);
    file_.AddOptions(set);
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    if (!run_.empty()) file_.run.directory = run_;
    if (where_) return PrintWhere(world, set);
    InstallStopSignals();
    AgreeOnSetUp(world, [&] { SetUp(world, set); });
    if (IsFinished(world)) {
      if (world.world_rank == 0) Finish();
      return ExitCode::kDone;
    }
    snapshot_.reset();
    InstallCrashReport(file_.run.directory);
    file_.run.group_size = ResolveGroupSize(world, file_.run, file_.evaluation.trajectory);
    SearchSummary summary;
    RunEvaluationService(
        world, file_.run,
        [&](Collective& group) {
          EvaluatorLimits limits = LimitsOf(world, file_.run);
          limits.gradients = WantsGradients(file_.search);
          limits.backward_every = file_.search.backward_every;
          limits.noise_blocks = file_.search.noise_blocks;
          limits.races = file_.search.racing != "off";
          return std::make_unique<CandidateEvaluator>(file_.evaluation, group, limits);
        },
        [&](EvaluationPool& pool) {
          directory_->PublishConfig(set.ToIni());
          summary = RunSearch(*strategy_, pool, directory_.get(), file_.run, identity_);
          Print(summary);
          directory_.reset();  // its lock too: what ends now may end abruptly
        });
    return summary.interrupted ? ExitCode::kInterrupted : ExitCode::kDone;
  }

 private:
  ExitCode PrintWhere(const World& world, OptionSet& set) const {
    set.Require("run.directory");
    if (world.world_rank == 0) std::printf("%s\n", file_.run.directory.c_str());
    return ExitCode::kDone;
  }

  void SetUp(const World& world, OptionSet& set) {
    if (memory_budget_ > 0) file_.run.memory_budget = memory_budget_;
    if (max_hours_ > 0) file_.run.max_hours = max_hours_;
    if (file_.run.max_hours > 0) SetStopDeadline(file_.run.max_hours * 3600);
    for (const char* key : {"evaluation.trajectory", "run.directory"}) set.Require(key);
    const MetricSet metrics = Objective(file_.evaluation.objective).metrics();
    if (WantsGradients(file_.search)) CheckDifferentiable(metrics);
    for (const std::string& key : RequiredOptions(metrics)) set.Require(key);
    if (world.world_rank != 0) return;
    WarnOfReference(world, file_.evaluation);
    const Trajectory trajectory = ReadTrajectory(file_.evaluation.trajectory);
    function_evaluations_ =
        FunctionEvaluationsOf(file_.evaluation, *MakeDenoiser(nlohmann::json::parse(trajectory.network_json)));
    identity_ = SearchIdentity(set, file_.evaluation, trajectory);
    steps_ = trajectory.steps;
    strategy_ = MakeStrategy(file_.search, steps_);
    directory_ = std::make_unique<RunDirectory>(RunDirectory::Create(file_.run.directory));
    snapshot_ = directory_->ReadSnapshot();
    if (snapshot_) {
      CheckSameIdentity(snapshot_->identity, identity_, directory_->folder());
      finished_ = IsEnd(*snapshot_);
    }
    // Ranks that read parts of rows cannot check the rows' digests themselves.
    if (file_.run.group_size != 1) VerifyTrajectory(trajectory.folder);
  }

  std::int64_t NumDone() const { return snapshot_ ? static_cast<std::int64_t>(snapshot_->population.size()) : 0; }

  // Whether nothing is left to evaluate, as rank 0 knows. Collective.
  bool IsFinished(const World& world) const {
    return GatherTexts(world, finished_ ? "finished" : "").front() == "finished";
  }

  bool IsEnd(const PopulationSnapshot& snapshot) const {
    const auto restored = MakeStrategy(file_.search, steps_);
    restored->Restore({snapshot.population, snapshot.in_flight});
    return restored->Finished();
  }

  // A kill in the last moment, or fewer epochs than before, leave a run that has ended and does not say so.
  void MarkDone() {
    snapshot_ = directory_->Recover();
    snapshot_->state = RunState::kDone;
    snapshot_->planned_evaluations = NumDone();
    directory_->PublishSnapshot(*snapshot_);
  }

  void Finish() {
    if (snapshot_->state != RunState::kDone) MarkDone();
    spdlog::info("{}: already finished: nothing to do; {} evaluations are done, {} are planned; raise {} to go on",
                 directory_->folder().string(), NumDone(), strategy_->planned_evaluations(),
                 file_.search.strategy == "gradient"
                     ? "search.gradient_steps, at which descents end that still get better,"
                     : "search.epochs");
    Print({.evaluations = NumDone(),
           .seconds = snapshot_->seconds,
           .utilisation = snapshot_->utilisation,
           .population = std::move(snapshot_->population)});
  }

  void Print(const SearchSummary& summary) const {
    const EvaluatedCandidate* best = BestOf(summary.population);
    const EvaluatedCandidate* best_ema = BestOf(summary.population, /*only_ema=*/true);
    if (json_) {
      nlohmann::json json = MeasureJson(file_.evaluation);
      json.update({{"evaluations", summary.evaluations},
                   {"seconds", summary.seconds},
                   {"run", directory_->folder().string()},
                   {"interrupted", summary.interrupted},
                   {"utilisation", summary.utilisation},
                   {"stage_share", summary.stage_share},
                   {"num_samples", file_.evaluation.num_samples},
                   {"sampler", file_.evaluation.sampler},
                   {"function_evaluations", function_evaluations_},
                   {"seed", file_.evaluation.seed}});
      json["best_score"] = ScoreJson(best);
      json["best_candidate"] = best == nullptr ? nlohmann::json() : nlohmann::json(best->candidate.id);
      json["best_ema_score"] = ScoreJson(best_ema);
      std::printf("%s\n", json.dump().c_str());
      return;
    }
    std::fputs(SearchTable(summary, file_.evaluation, directory_->folder().string()).c_str(), stdout);
    std::printf("sampler %s, function evaluations: %d\n", file_.evaluation.sampler.c_str(), function_evaluations_);
  }

  std::string run_;
  double memory_budget_ = 0, max_hours_ = 0;
  bool where_ = false, json_ = false;
  ConfigFile file_;
  int function_evaluations_ = 0;
  RunIdentity identity_;
  std::vector<std::int64_t> steps_;
  std::unique_ptr<Strategy> strategy_;
  std::unique_ptr<RunDirectory> directory_;
  bool finished_ = false;
  std::optional<PopulationSnapshot> snapshot_;  // as this session found it
};

}  // namespace

std::unique_ptr<Command> MakeSearchCommand() { return std::make_unique<SearchCommand>(); }

}  // namespace lcsc
