#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdio>

#include "app/command.h"
#include "app/identity.h"
#include "app/report.h"
#include "lcsc/base/atomic_file.h"
#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/table.h"
#include "lcsc/io/png.h"
#include "lcsc/merge/merged_weights.h"
#include "lcsc/model/registry.h"
#include "lcsc/search/averages.h"
#include "lcsc/search/baselines.h"
#include "lcsc/search/improvements.h"
#include "lcsc/service/candidate_evaluator.h"
#include "lcsc/service/evaluation_service.h"
#include "lcsc/service/reference_check.h"
#include "lcsc/state/run_directory.h"

namespace lcsc {
namespace {

// One way to choose weights from a trajectory, with its scores on two noises.
struct Row {
  Baseline baseline;
  Outcome held_out = {};
  std::vector<Outcome> audits = {};  // on the held-out noise, under each extractor of --audit-extractor

  const BaselineChoice& chosen() const { return baseline.chosen; }
};

class BaselinesCommand : public Command {
 public:
  std::string name() const override { return "baselines"; }
  std::string summary() const override {
    return "compares a search's result with last and best checkpoint, EMAs, averages and greedy soup, on held-out "
           "noise";
  }

  void AddOptions(OptionSet& set) override {
    set.AddPositional({"", "run", "path", "the run directory of a search; none: the baselines alone, with --config"},
                      &run_);
    set.Add(
        {"", "baselines", "",
         "which, of last (checkpoint), best (single checkpoint), ema, posthoc (EMA of EDM2), uniform (average of the "
         "last 2, 4, 8, ..., K), soup (greedy). On the search noise, best and soup cost up to 50 evaluations each, "
         "posthoc one per --sigma-rels, uniform log2 K, ema none with a run; and each row one on the held-out noise"},
        &names_);
    set.Add({"", "every", "checkpoints",
             "best and soup look at every n-th checkpoint, counted back from the last; 0: as many as 50 allow"},
            &every_, {0, 1'000'000});
    set.Add({"", "sigma_rels", "",
             "of the post-hoc EMA: standard deviations of its profile, as shares of the training's length"},
            &sigma_rels_, {1e-4, kLargestSigmaRel});
    set.Add({"", "held_out_samples", "samples", "samples of the held-out noise"}, &held_out_samples_, {2, 100'000'000});
    set.Add({"", "held_out_seed", "", "seed of the held-out noise; not the search's"}, &held_out_seed_,
            {0, std::numeric_limits<std::int64_t>::max()});
    set.Add({"", "audit_extractor", "EXTRACTOR=REFERENCE",
             "score each row on the held-out noise under this extractor too, with its own reference: one that nothing "
             "was chosen by tells whether the choices only please the search's extractor"},
            &audit_words_);
    set.Add({"", "curve", "candidates",
             "measure so many of those that were the search's best for a while on the held-out noise too: for the "
             "convergence in `lcsc report`"},
            &curve_points_, {0, 100'000});
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
    Evaluate(world, file_.evaluation, "the baselines' choices on the search noise",
             [&](EvaluationPool& pool, auto shown) { MakeRows(pool, shown); });
    Evaluate(world, held_out, "the table's rows on the held-out noise", [&](EvaluationPool& pool, auto shown) {
      MakeCurve();
      ScoreRows(pool, shown, AllRows(), [](Row& row, const Outcome& outcome) { row.held_out = outcome; });
    });
    for (const EvaluationOptions& audit : Audits(held_out)) {
      Evaluate(world, audit, "the rows under an extractor that nothing was chosen by",
               [&](EvaluationPool& pool, auto shown) {
                 ScoreRows(pool, shown, PointersTo(rows_),
                           [](Row& row, const Outcome& outcome) { row.audits.push_back(outcome); });
               });
    }
    if (world.world_rank == 0) Report(held_out);
    return ExitCode::kDone;
  }

 private:
  using Shown = std::function<void(std::size_t)>;

  void SetUp(const World& world, OptionSet& set) {
    if (run_.empty()) {
      for (const char* key : {"config", "evaluation.trajectory"}) set.Require(key);
      for (const std::string& key : RequiredOptions(Objective(file_.evaluation.objective).metrics())) set.Require(key);
    } else {
      set.ReadConfig(RunDirectory::OpenExisting(run_).config_path());
    }
    if (run_.empty() && curve_points_ > 0) {
      throw ConfigError("--curve: expected a run directory beside it, found none; leave it out, or give one");
    }
    if (held_out_seed_ == file_.evaluation.seed) {
      throw ConfigError("--held-out-seed: expected another seed than the search's {}, found the same", held_out_seed_);
    }
    trajectory_ = ReadTrajectory(file_.evaluation.trajectory);
    if (trajectory_.num_checkpoints() < 2) {
      throw InputError("{}: expected at least 2 checkpoints, found {}", file_.evaluation.trajectory,
                       trajectory_.num_checkpoints());
    }
    if (!run_.empty()) ReadPopulation(set);
    MakePlan();
    CheckAudits(world);
    if (!grids_.empty()) CheckDrawable(*MakeDenoiser(nlohmann::json::parse(trajectory_.network_json)), "--grids");
    if (world.world_rank != 0) return;
    WarnOfReference(world, file_.evaluation);
    if (!grids_.empty()) CreateFolder(grids_);
    // Ranks that read parts of rows cannot check the rows' digests themselves.
    if (file_.run.group_size != 1) VerifyTrajectory(trajectory_.folder);
  }

  void ReadPopulation(const OptionSet& set) {
    const PopulationSnapshot snapshot = *RunDirectory::OpenExisting(run_).ReadSnapshot();
    if (BestOf(snapshot.population, /*only_ema=*/true) == nullptr) {
      throw InputError("{}: no EMA candidate has a score yet; let the search go on", run_);
    }
    CheckSameScores(snapshot.identity, EvaluationIdentity(set, file_.evaluation, trajectory_), run_);
    for (const EvaluatedCandidate& member : snapshot.population) {
      if (member.candidate.ema_rate) plan_.known_emas.push_back(member);
    }
    for (const auto& [evaluations, member] : ImprovementsOf(snapshot.population)) improvements_.push_back(*member);
    lcsc_ = *BestOf(snapshot.population);
  }

  void MakePlan() {
    constexpr std::size_t kMostSingles = 50;
    const std::size_t k = trajectory_.steps.size();
    plan_.names = ParseBaselines(names_, "--baselines");
    plan_.steps = trajectory_.steps;
    plan_.every = every_ > 0 ? static_cast<std::size_t>(every_) : (k + kMostSingles - 1) / kMostSingles;
    plan_.ema_rates = file_.search.ema_rates.empty() ? DefaultEmaRates(plan_.steps) : file_.search.ema_rates;
    plan_.sigma_rels = sigma_rels_;
    if (sigma_rels_.empty() && std::ranges::count(plan_.names, "posthoc") > 0) {
      throw ConfigError("--sigma-rels: expected at least one for the post-hoc EMA, found none");
    }
  }

  // What is evaluated under each audit, from what the rows' own held-out scores are.
  std::vector<EvaluationOptions> Audits(const EvaluationOptions& held_out) const {
    std::vector<EvaluationOptions> audits;
    for (const std::string& word : audit_words_) {
      const std::size_t equals = word.find('=');
      if (equals == std::string::npos || equals == 0 || equals + 1 == word.size()) {
        throw ConfigError("--audit-extractor: expected EXTRACTOR=REFERENCE, two files, found {}", word);
      }
      audits.push_back(held_out);
      audits.back().extractor = word.substr(0, equals);
      audits.back().reference = word.substr(equals + 1);
    }
    return audits;
  }

  // Before anything is evaluated: whether each file is one, and whether it is not the search's own.
  void CheckAudits(const World& world) const {
    if (!audit_words_.empty() && !NeedsReference(Objective(file_.evaluation.objective).metrics())) {
      throw ConfigError("--audit-extractor: expected none, for the objective {} compares with no reference",
                        file_.evaluation.objective);
    }
    for (const EvaluationOptions& audit : Audits(file_.evaluation)) {
      if (DigestOfFile(audit.extractor) == DigestOfFile(file_.evaluation.extractor)) {
        throw ConfigError("--audit-extractor: expected another extractor than the search's, found {} again",
                          audit.extractor);
      }
      if (world.world_rank != 0) continue;
      LocalCollective alone;
      Scorer(audit, alone);  // loads both and checks that they belong together
      WarnOfReference(world, audit);
    }
  }

  static std::vector<Row*> PointersTo(std::vector<Row>& rows) {
    std::vector<Row*> pointers;
    for (Row& row : rows) pointers.push_back(&row);
    return pointers;
  }

  std::vector<Row*> AllRows() {
    std::vector<Row*> all = PointersTo(rows_);
    std::ranges::copy(PointersTo(curve_), std::back_inserter(all));
    return all;
  }

  void ScoreRows(EvaluationPool& pool, const Shown& shown, const std::vector<Row*>& rows,
                 const std::function<void(Row&, const Outcome&)>& keep) {
    std::vector<Coefficients> coefficients;
    for (const Row* row : rows) coefficients.push_back(row->chosen().coefficients);
    const std::vector<Outcome> outcomes = EvaluateCoefficientsOn(pool, coefficients, shown);
    for (std::size_t i = 0; i < rows.size(); ++i) keep(*rows[i], outcomes[i]);
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

  // The n-th call's progress goes on where the one before ended.
  static std::vector<Outcome> EvaluateCoefficientsOn(EvaluationPool& pool, const std::vector<Coefficients>& asked,
                                                     const Shown& shown) {
    std::vector<Candidate> candidates;
    for (const Coefficients& coefficients : asked) {
      candidates.push_back({.id = static_cast<std::int64_t>(candidates.size()), .coefficients = coefficients});
    }
    return EvaluateAll(pool, candidates, shown);
  }

  void MakeRows(EvaluationPool& pool, const Shown& shown) {
    plan_.num_parallel = static_cast<std::size_t>(pool.num_groups());
    const auto evaluate = [&](const std::vector<Coefficients>& asked) {
      const std::size_t before = num_evaluations_;
      num_evaluations_ += asked.size();
      return EvaluateCoefficientsOn(pool, asked, [&](std::size_t done) { shown(before + done); });
    };
    for (Baseline& baseline : ChooseBaselines(plan_, evaluate)) rows_.push_back({std::move(baseline)});
    if (!lcsc_) return;
    const BaselineChoice chosen{CandidateText(lcsc_->candidate), lcsc_->candidate.coefficients, lcsc_->outcome};
    rows_.push_back({{"LCSC", chosen, {chosen}}});
  }

  bool IsInTable(const Coefficients& coefficients) const {
    return std::ranges::any_of(rows_, [&](const Row& row) { return row.chosen().coefficients == coefficients; });
  }

  // Evenly among the candidates that were the best for a while, the first of them included.
  void MakeCurve() {
    std::vector<Row> all;
    for (const auto& [candidate, outcome, order] : improvements_) {
      if (IsInTable(candidate.coefficients)) continue;
      all.push_back({{"best so far", {CandidateText(candidate), candidate.coefficients, outcome}, {}}});
    }
    const std::size_t points = std::min(all.size(), static_cast<std::size_t>(curve_points_));
    for (std::size_t i = 0; i < points; ++i) curve_.push_back(all[i * all.size() / points]);
  }

  void Report(const EvaluationOptions& held_out) const {
    const nlohmann::json json = Json(held_out);
    std::fputs((json_ ? json.dump() + "\n" : Text(held_out)).c_str(), stdout);
    std::fflush(stdout);
    if (!grids_.empty()) WriteGrids(held_out);
    if (!run_.empty()) PublishText(std::filesystem::path(run_) / "baselines.json", json.dump(1) + "\n");
  }

  void WriteGrids(const EvaluationOptions& held_out) const {
    constexpr std::int64_t kImages = 50;
    const c10::InferenceMode no_gradients;
    const ImageSource source(held_out);
    const auto network = MakeDenoiser(nlohmann::json::parse(trajectory_.network_json));
    network->eval();
    for (const Row& row : rows_) {
      LoadStateDict(*network, MergeCheckpoints(trajectory_, row.chosen().coefficients), row.baseline.title);
      const at::Tensor images = source.Draw(*network, {0, std::min(kImages, held_out.num_samples)});
      if (images.defined()) WritePng(GridPath(row), ImageGrid(images, {}));
    }
  }

  std::filesystem::path GridPath(const Row& row) const {
    std::string stem = row.baseline.title;
    std::replace(stem.begin(), stem.end(), ' ', '-');
    return std::filesystem::path(grids_) / (stem + ".png");
  }

  static std::string ScoreText(const Outcome& outcome) {
    return outcome.score ? fmt::format("{:.3f}", *outcome.score) : outcome.failure;
  }

  std::string Text(const EvaluationOptions& held_out) const {
    const std::string title = Objective(held_out.objective).Title();
    const auto column = [&](const char* noise, const EvaluationOptions& options) {
      return fmt::format("{} {} noise, n = {}", title, noise, options.num_samples);
    };
    std::vector<std::string> headings = {"weights", "which", column("search", file_.evaluation),
                                         column("held-out", held_out)};
    std::string audits;
    for (const EvaluationOptions& audit : Audits(held_out)) {
      headings.push_back(fmt::format("audit {}", headings.size() - 3));
      audits += fmt::format("{}: held-out noise, n = {}, {}\n", headings.back(), audit.num_samples, audit.extractor);
    }
    Table table(headings);
    for (const Row& row : rows_) {
      std::vector<std::string> cells = {row.baseline.title, row.chosen().which, ScoreText(row.chosen().outcome),
                                        ScoreText(row.held_out)};
      for (const Outcome& outcome : row.audits) cells.push_back(ScoreText(outcome));
      table.AddRow(cells);
    }
    const bool same_n = file_.evaluation.num_samples == held_out.num_samples;
    return fmt::format(
        "{}\nsearch noise: {}; held-out noise: {}\n{}{}{}{}", table.ToString(), NoiseText(file_.evaluation),
        NoiseText(held_out), audits, same_n ? "" : "scores depend on the number of samples: compare within a column\n",
        MeasureText(held_out), grids_.empty() ? "" : fmt::format("grids of held-out samples: {}/*.png\n", grids_));
  }

  static nlohmann::json NumberJson(const Outcome& outcome) {
    return outcome.score ? nlohmann::json(*outcome.score) : nlohmann::json();
  }

  static nlohmann::json RowJson(const Row& row, const std::string& unit) {
    nlohmann::json choices = nlohmann::json::array();
    for (const BaselineChoice& choice : row.baseline.choices) {
      choices.push_back({{"which", choice.which}, {"search_" + unit, NumberJson(choice.outcome)}});
    }
    nlohmann::json audits = nlohmann::json::array();
    for (const Outcome& outcome : row.audits) audits.push_back(NumberJson(outcome));
    return {{"weights", row.baseline.title},
            {"which", row.chosen().which},
            {"coefficients", row.chosen().coefficients},
            {"search_" + unit, NumberJson(row.chosen().outcome)},
            {"held_out_" + unit, NumberJson(row.held_out)},
            {"search_metrics", row.chosen().outcome.metrics},
            {"held_out_metrics", row.held_out.metrics},
            {"audit_" + unit, audits},
            {"chosen_from", choices}};
  }

  nlohmann::json Json(const EvaluationOptions& held_out) const {
    const auto noise = [](const EvaluationOptions& options) {
      return nlohmann::json{{"seed", options.seed}, {"num_samples", options.num_samples}};
    };
    nlohmann::json json = MeasureJson(held_out);
    json.update({{"search_noise", noise(file_.evaluation)},
                 {"held_out_noise", noise(held_out)},
                 {"run", run_},
                 {"trajectory", file_.evaluation.trajectory},
                 {"trajectory_digest", trajectory_.Digest()},
                 {"every", plan_.every},
                 {"search_evaluations", num_evaluations_}});
    const std::string unit = held_out.objective == "fid" ? "fid" : "score";
    for (const EvaluationOptions& audit : Audits(held_out)) {
      json["audits"].push_back({{"extractor", audit.extractor},
                                {"extractor_digest", DigestOfFile(audit.extractor)},
                                {"reference", audit.reference}});
    }
    for (const Row& row : rows_) json["rows"].push_back(RowJson(row, unit));
    json["curve"] = nlohmann::json::array();
    for (const Row& row : curve_) json["curve"].push_back(RowJson(row, unit));
    return json;
  }

  std::string run_, grids_;
  std::string names_ = "last,best,ema,posthoc,uniform,soup";
  std::vector<std::string> audit_words_;
  std::int64_t every_ = 0;
  std::vector<double> sigma_rels_ = {0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25};
  std::int64_t held_out_samples_ = 50000;
  std::int64_t held_out_seed_ = 1000;
  std::int64_t curve_points_ = 0;
  bool json_ = false;
  ConfigFile file_;
  Trajectory trajectory_;
  BaselinePlan plan_;
  std::optional<EvaluatedCandidate> lcsc_;        // what the search found
  std::size_t num_evaluations_ = 0;               // on the search noise
  std::vector<EvaluatedCandidate> improvements_;  // of the search
  std::vector<Row> rows_, curve_;                 // of the table, and beside it
};

}  // namespace

std::unique_ptr<Command> MakeBaselinesCommand() { return std::make_unique<BaselinesCommand>(); }

}  // namespace lcsc
