#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdio>

#include "app/command.h"
#include "app/identity.h"
#include "app/report.h"
#include "lcsc/base/atomic_file.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/table.h"
#include "lcsc/io/png.h"
#include "lcsc/merge/merged_weights.h"
#include "lcsc/model/registry.h"
#include "lcsc/service/candidate_evaluator.h"
#include "lcsc/service/evaluation_service.h"
#include "lcsc/state/run_directory.h"

namespace lcsc {
namespace {

// One way to choose weights from a trajectory, with its scores on two noises.
struct Row {
  std::string title;
  std::string which;
  Candidate candidate;
  Outcome search, held_out;
};

class BaselinesCommand : public Command {
 public:
  std::string name() const override { return "baselines"; }
  std::string summary() const override {
    return "compares a run's result with the last checkpoint, the best single one and the best EMA, on held-out noise";
  }

  void AddOptions(OptionSet& set) override {
    set.AddPositional({"", "run", "path", "the run directory of a search"}, &run_);
    set.Add({"", "held_out_samples", "samples", "samples of the held-out noise"}, &held_out_samples_, {2, 100'000'000});
    set.Add({"", "held_out_seed", "", "seed of the held-out noise; not the search's"}, &held_out_seed_,
            {0, std::numeric_limits<std::int64_t>::max()});
    set.Add({"", "grids", "path", "folder for a PNG grid per row; none: no grids"}, &grids_);
    AddJsonFlag(set, &json_);
    file_.AddOptions(set);
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    AgreeOnSetUp(world, [&] { SetUp(world, set); });
    file_.run.group_size = ResolveGroupSize(world, file_.run, file_.evaluation.trajectory);
    EvaluationOptions held_out = file_.evaluation;
    held_out.seed = held_out_seed_;
    held_out.num_samples = held_out_samples_;
    Evaluate(world, file_.evaluation, "single checkpoints on the search noise", [&](EvaluationPool& pool, auto shown) {
      const std::vector<Candidate> singles = SingleCheckpoints();
      MakeRows(singles, EvaluateAll(pool, singles, shown));
    });
    Evaluate(world, held_out, "the table's rows on the held-out noise", [&](EvaluationPool& pool, auto shown) {
      std::vector<Candidate> candidates;
      for (std::size_t i = 0; i < rows_.size(); ++i) {
        candidates.push_back(rows_[i].candidate);
        candidates.back().id = static_cast<std::int64_t>(i);
      }
      const std::vector<Outcome> outcomes = EvaluateAll(pool, candidates, shown);
      for (std::size_t i = 0; i < rows_.size(); ++i) rows_[i].held_out = outcomes[i];
    });
    if (world.world_rank != 0) return ExitCode::kDone;
    std::fputs((json_ ? Json(held_out).dump() + "\n" : Text(held_out)).c_str(), stdout);
    std::fflush(stdout);
    if (!grids_.empty()) WriteGrids(held_out);
    return ExitCode::kDone;
  }

 private:
  using Shown = std::function<void(std::size_t)>;

  void SetUp(const World& world, OptionSet& set) {
    set.Require("run");
    const RunDirectory directory = RunDirectory::OpenExisting(run_);
    set.ReadConfig(directory.config_path());
    if (held_out_seed_ == file_.evaluation.seed) {
      throw ConfigError("--held-out-seed: expected another seed than the search's {}, found the same", held_out_seed_);
    }
    const PopulationSnapshot snapshot = *directory.ReadSnapshot();
    if (BestOf(snapshot.population, /*only_ema=*/true) == nullptr) {
      throw InputError("{}: no EMA candidate has a score yet; let the search go on", run_);
    }
    population_ = snapshot.population;
    trajectory_ = ReadTrajectory(file_.evaluation.trajectory);
    CheckSameScores(snapshot.identity, EvaluationIdentity(set, file_.evaluation, trajectory_), run_);
    if (!grids_.empty()) CheckDrawable(*MakeDenoiser(nlohmann::json::parse(trajectory_.network_json)), "--grids");
    if (world.world_rank != 0) return;
    WarnOfReference(world, file_.evaluation);
    if (!grids_.empty()) CreateFolder(grids_);
    // Ranks that read parts of rows cannot check the rows' digests themselves.
    if (file_.run.group_size != 1) VerifyTrajectory(trajectory_.folder);
  }

  void Evaluate(const World& world, const EvaluationOptions& options, const char* title,
                const std::function<void(EvaluationPool&, const Shown&)>& task) const {
    RunEvaluationService(
        world, file_.run,
        [&](Collective& group) {
          return std::make_unique<CandidateEvaluator>(options, group, LimitsOf(world, file_.run));
        },
        [&](EvaluationPool& pool) {
          Progress progress({.title = title, .unit = "networks"});
          task(pool, [&](std::size_t done) { progress.Update(static_cast<std::int64_t>(done)); });
        });
  }

  std::vector<Candidate> SingleCheckpoints() const {
    std::vector<Candidate> singles;
    const std::size_t num_checkpoints = trajectory_.steps.size();
    for (std::size_t i = 0; i < num_checkpoints; ++i) {
      singles.push_back({.id = static_cast<std::int64_t>(i), .coefficients = SingleCheckpoint({i, num_checkpoints})});
    }
    return singles;
  }

  void MakeRows(const std::vector<Candidate>& singles, const std::vector<Outcome>& outcomes) {
    std::vector<EvaluatedCandidate> evaluated;
    for (std::size_t i = 0; i < singles.size(); ++i) evaluated.push_back({singles[i], outcomes[i]});
    const auto step_text = [&](const EvaluatedCandidate& member) {
      return fmt::format("step {}", trajectory_.steps[static_cast<std::size_t>(member.candidate.id)]);
    };
    const auto add = [&](const char* title, const EvaluatedCandidate& member, const std::string& which) {
      rows_.push_back({title, which, member.candidate, member.outcome, {}});
    };
    add("last checkpoint", evaluated.back(), step_text(evaluated.back()));
    const EvaluatedCandidate* best_single = BestOf(evaluated);
    if (best_single != nullptr) add("best single checkpoint", *best_single, step_text(*best_single));
    for (const auto& [title, only_ema] : {std::pair("best EMA", true), std::pair("LCSC", false)}) {
      const EvaluatedCandidate& member = *BestOf(population_, only_ema);
      add(title, member, CandidateText(member.candidate));
    }
  }

  void WriteGrids(const EvaluationOptions& held_out) const {
    constexpr std::int64_t kImages = 50;
    const c10::InferenceMode no_gradients;
    const ImageSource source(held_out);
    const auto network = MakeDenoiser(nlohmann::json::parse(trajectory_.network_json));
    network->eval();
    for (const Row& row : rows_) {
      LoadStateDict(*network, MergeCheckpoints(trajectory_, row.candidate.coefficients), row.title);
      const at::Tensor images = source.Draw(*network, {0, std::min(kImages, held_out.num_samples)});
      if (images.defined()) WritePng(GridPath(row), ImageGrid(images, {}));
    }
  }

  std::filesystem::path GridPath(const Row& row) const {
    std::string stem = row.title;
    std::replace(stem.begin(), stem.end(), ' ', '-');
    return std::filesystem::path(grids_) / (stem + ".png");
  }

  static std::string ScoreText(const Outcome& outcome) {
    return outcome.score ? fmt::format("{:.3f}", *outcome.score) : outcome.failure;
  }

  std::string Text(const EvaluationOptions& held_out) const {
    const std::string title = Objective(held_out.objective).Title();
    Table table({"weights", "which", title + " search noise", title + " held-out noise"});
    for (const Row& row : rows_) table.AddRow({row.title, row.which, ScoreText(row.search), ScoreText(row.held_out)});
    return fmt::format("{}\nsearch noise: {}; held-out noise: {}\n{}{}", table.ToString(), NoiseText(file_.evaluation),
                       NoiseText(held_out), MeasureText(held_out),
                       grids_.empty() ? "" : fmt::format("grids of held-out samples: {}/*.png\n", grids_));
  }

  nlohmann::json Json(const EvaluationOptions& held_out) const {
    const auto noise = [](const EvaluationOptions& options) {
      return nlohmann::json{{"seed", options.seed}, {"num_samples", options.num_samples}};
    };
    const auto score = [](const Outcome& outcome) {
      return outcome.score ? nlohmann::json(*outcome.score) : nlohmann::json();
    };
    nlohmann::json json = MeasureJson(held_out);
    json.update({{"search_noise", noise(file_.evaluation)}, {"held_out_noise", noise(held_out)}, {"run", run_}});
    const std::string unit = held_out.objective == "fid" ? "fid" : "score";
    for (const Row& row : rows_) {
      json["rows"].push_back({{"weights", row.title},
                              {"which", row.which},
                              {"search_" + unit, score(row.search)},
                              {"held_out_" + unit, score(row.held_out)},
                              {"search_metrics", row.search.metrics},
                              {"held_out_metrics", row.held_out.metrics}});
    }
    return json;
  }

  std::string run_, grids_;
  std::int64_t held_out_samples_ = 50000;
  std::int64_t held_out_seed_ = 1000;
  bool json_ = false;
  ConfigFile file_;
  Trajectory trajectory_;
  std::vector<EvaluatedCandidate> population_;
  std::vector<Row> rows_;
};

}  // namespace

std::unique_ptr<Command> MakeBaselinesCommand() { return std::make_unique<BaselinesCommand>(); }

}  // namespace lcsc
