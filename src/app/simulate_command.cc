#include <sys/resource.h>

#include <algorithm>
#include <cstdio>

#include "app/command.h"
#include "app/identity.h"
#include "app/report.h"
#include "lcsc/base/crash_report.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/stop_signal.h"
#include "lcsc/base/table.h"
#include "lcsc/config/simulation_options.h"
#include "lcsc/search/evolution.h"
#include "lcsc/service/evaluation_service.h"
#include "lcsc/service/model_pool.h"
#include "lcsc/service/replay_pool.h"
#include "lcsc/service/search_run.h"

namespace lcsc {
namespace {

// Processor seconds that this process has had.
double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Measured {
  SearchSummary summary;
  int num_groups = 1;
  std::int64_t messages = 0;
  double master_cpu_seconds = 0;

  double rate() const { return static_cast<double>(summary.session_evaluations) / summary.session_seconds; }
  double master_seconds_per_candidate() const {
    return master_cpu_seconds / static_cast<double>(std::max<std::int64_t>(1, summary.session_evaluations));
  }
  double master_share() const { return master_cpu_seconds / summary.session_seconds; }
};

// One line of the model's table.
struct Modelled {
  double seconds = 0, efficiency = 0, master_share = 0;
  std::optional<double> best;
};

class SimulateCommand : public Command {
 public:
  std::string name() const override { return "simulate"; }
  std::string summary() const override {
    return "searches with candidates that take time but no arithmetic, to measure the master, messages and schedules; "
           "with --model computes it for any number of workers";
  }

  void AddOptions(OptionSet& set) override {
    AddSimulationOptions(set, simulation_);
    set.Add({"", "run", "path", "a run directory with snapshots as of a search; none: nothing is kept"}, &run_);
    set.Add({"", "replay", "path",
             "the run directory of a finished steady-state simulation: does it again in the "
             "recorded order, on these ranks, and fails unless the populations are equal"},
            &replay_);
    set.AddFlag({"", "model", "", "computes a discrete-event model of both schedules instead of running"}, &model_);
    set.Add({"", "workers", "ranks", "numbers of workers to model"}, &workers_, {1, 1e6});
    set.Add({"", "latency_seconds", "s", "of the model: time that a message takes"}, &latency_seconds_, {0, 1e3});
    set.Add({"", "master_seconds", "s", "of the model: the master's work per candidate"}, &master_seconds_, {0, 1e3});
    AddJsonFlag(set, &json_);
    file_.AddOptions(set);
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    InstallStopSignals();
    AgreeOnSetUp(world, [&] { SetUp(world, set); });
    InstallCrashReport(run_);
    if (model_) {
      if (world.world_rank == 0) PrintModel();
      return StopRequested() ? ExitCode::kInterrupted : ExitCode::kDone;
    }
    ExitCode code = ExitCode::kDone;
    RunEvaluationService(
        world, file_.run, [&](Collective&) { return std::make_unique<SimulatedEvaluator>(simulation_); },
        [&](EvaluationPool& pool) { code = Search(pool); });
    return code;
  }

 private:
  void SetUp(const World& world, OptionSet& set) {
    if (model_ == workers_.empty()) {
      throw ConfigError(
          "--model and --workers go together: a model needs --workers 8,64,512; a real run has the ranks "
          "that mpirun starts");
    }
    if (!run_.empty() && (model_ || !replay_.empty())) {
      throw ConfigError("--run: expected none with --model or --replay, which keep nothing; leave it out");
    }
    if (model_ && !replay_.empty()) throw ConfigError("--replay: expected none with --model; leave one out");
    if (!replay_.empty()) file_.search.schedule = "steady-state";
    problem_ = std::make_unique<SimulatedProblem>(simulation_);
    if (file_.search.strategy != "evolution" || file_.search.racing != "off") {
      throw ConfigError("search.strategy: simulations expect evolution without racing, found {}, racing {}",
                        file_.search.strategy, file_.search.racing);
    }
    Evolution(file_.search, problem_->Steps());  // says what is wrong with the options
    if (world.world_rank != 0) return;
    identity_ = StrategyIdentity(set);
    identity_["simulate.checkpoints"] = std::to_string(simulation_.checkpoints);
    identity_["simulate.simulation_seed"] = std::to_string(simulation_.seed);
    if (!run_.empty()) {
      directory_ = std::make_unique<RunDirectory>(RunDirectory::Create(run_));
      if (const auto snapshot = directory_->ReadSnapshot()) CheckSameIdentity(snapshot->identity, identity_, run_);
    }
    if (!replay_.empty()) ReadRecord();
  }

  void ReadRecord() {
    const auto snapshot = RunDirectory::OpenExisting(replay_).ReadSnapshot();
    CheckSameIdentity(snapshot->identity, identity_, replay_);
    const auto planned = Evolution(file_.search, problem_->Steps()).planned_evaluations();
    if (snapshot->state != RunState::kDone || snapshot->planned_evaluations != planned) {
      throw InputError(
          "{}: expected a finished run of {} evaluations to replay, found {} of {}; give the options of "
          "that run, or finish it",
          replay_, planned, snapshot->population.size(), snapshot->planned_evaluations);
    }
    record_ = snapshot->population;
  }

  ExitCode Search(EvaluationPool& pool) {
    Evolution strategy(file_.search, problem_->Steps());
    std::optional<ReplayPool> replay;
    if (!replay_.empty()) replay.emplace(pool, record_);
    Measured measured;
    measured.num_groups = pool.num_groups();
    const double cpu_before = CpuSeconds();
    measured.summary = RunSearch(strategy, replay ? *replay : pool, directory_.get(), file_.run, identity_);
    measured.master_cpu_seconds = CpuSeconds() - cpu_before;
    measured.messages = pool.num_messages();
    Print(measured);
    if (measured.summary.interrupted) return ExitCode::kInterrupted;
    if (replay && PopulationDigest(record_) != PopulationDigest(measured.summary.population)) {
      throw Error(fmt::format("the replay's population differs from that of {}", replay_), ExitCode::kFailed);
    }
    return ExitCode::kDone;
  }

  nlohmann::json OptionsJson() const {
    return {{"checkpoints", simulation_.checkpoints},   {"distribution", simulation_.distribution},
            {"mean_seconds", simulation_.mean_seconds}, {"cv", simulation_.cv},
            {"children", file_.search.children},        {"queue_depth", file_.run.queue_depth}};
  }

  void Print(const Measured& measured) const {
    const SearchSummary& summary = measured.summary;
    const EvaluatedCandidate* best = BestOf(summary.population);
    const std::string digest = PopulationDigest(summary.population);
    if (json_) {
      nlohmann::json json = OptionsJson();
      json.update({{"schedule", file_.search.schedule},
                   {"groups", measured.num_groups},
                   {"evaluations", summary.evaluations},
                   {"session_evaluations", summary.session_evaluations},
                   {"seconds", summary.session_seconds},
                   {"candidates_per_second", measured.rate()},
                   {"efficiency", summary.utilisation},
                   {"master_cpu_seconds", measured.master_cpu_seconds},
                   {"master_cpu_share", measured.master_share()},
                   {"master_cpu_seconds_per_candidate", measured.master_seconds_per_candidate()},
                   {"messages", measured.messages},
                   {"best_score", ScoreJson(best)},
                   {"population_digest", digest},
                   {"interrupted", summary.interrupted}});
      std::printf("%s\n", json.dump().c_str());
      return;
    }
    Table table({"simulated search", "value"});
    table.AddRow({"schedule", file_.search.schedule});
    table.AddRow({"groups of workers", fmt::format("{}", measured.num_groups)});
    table.AddRow({"evaluations", fmt::format("{} of {}", summary.session_evaluations, summary.evaluations)});
    table.AddRow({"wall time", FormatDuration(summary.session_seconds)});
    table.AddRow({"candidates per second", fmt::format("{:.1f}", measured.rate())});
    table.AddRow({"efficiency (busy share)", fmt::format("{:.2f} %", 100 * summary.utilisation)});
    table.AddRow({"master's CPU time", fmt::format("{:.3f} s, {:.1f} us a candidate", measured.master_cpu_seconds,
                                                   1e6 * measured.master_seconds_per_candidate())});
    table.AddRow({"master's CPU share", fmt::format("{:.2f} %", 100 * measured.master_share())});
    table.AddRow({"messages", fmt::format("{}", measured.messages)});
    table.AddRow({"best score", best == nullptr ? "none" : fmt::format("{:.6f}", *best->outcome.score)});
    table.AddRow({"digest of the population", digest});
    std::fputs(table.ToString().c_str(), stdout);
  }

  Modelled Model(int num_groups, const std::string& schedule) const {
    SearchOptions search = file_.search;
    search.schedule = schedule;
    Evolution strategy(search, problem_->Steps());
    ModelPool pool({.num_groups = num_groups,
                    .queue_depth = static_cast<int>(file_.run.queue_depth),
                    .latency_seconds = latency_seconds_,
                    .master_seconds = master_seconds_},
                   *problem_);
    const SearchSummary summary = RunSearch(strategy, pool, nullptr, file_.run, identity_);
    Modelled modelled{pool.seconds(), pool.Utilisation(), pool.MasterShare(), {}};
    if (const EvaluatedCandidate* best = BestOf(summary.population)) modelled.best = best->outcome.score;
    return modelled;
  }

  void PrintModel() const {
    nlohmann::json rows = nlohmann::json::array();
    Table table({"workers", "schedule", "wall time", "efficiency", "master busy", "best score"});
    for (const double workers : workers_) {
      for (const char* schedule : {"generational", "steady-state"}) {
        const int num_groups = std::max(1, static_cast<int>(workers) / static_cast<int>(file_.run.group_size));
        const Modelled modelled = Model(num_groups, schedule);
        if (StopRequested()) return;
        nlohmann::json row = OptionsJson();
        row.update({{"workers", workers},
                    {"schedule", schedule},
                    {"seconds", modelled.seconds},
                    {"efficiency", modelled.efficiency},
                    {"master_share", modelled.master_share},
                    {"best_score", modelled.best ? nlohmann::json(*modelled.best) : nlohmann::json()}});
        rows.push_back(std::move(row));
        table.AddRow({fmt::format("{:.0f}", workers), schedule, FormatDuration(modelled.seconds),
                      fmt::format("{:.1f} %", 100 * modelled.efficiency),
                      fmt::format("{:.1f} %", 100 * modelled.master_share),
                      modelled.best ? fmt::format("{:.4f}", *modelled.best) : "none"});
      }
    }
    std::fputs(json_ ? (rows.dump() + "\n").c_str() : table.ToString().c_str(), stdout);
  }

  SimulationOptions simulation_;
  std::string run_, replay_;
  bool model_ = false, json_ = false;
  std::vector<double> workers_;
  double latency_seconds_ = 1e-4, master_seconds_ = 5e-5;
  ConfigFile file_;
  RunIdentity identity_;
  std::unique_ptr<SimulatedProblem> problem_;
  std::unique_ptr<RunDirectory> directory_;
  std::vector<EvaluatedCandidate> record_;
};

}  // namespace

std::unique_ptr<Command> MakeSimulateCommand() { return std::make_unique<SimulateCommand>(); }

}  // namespace lcsc
