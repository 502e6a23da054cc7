#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "app/command.h"
#include "app/identity.h"
#include "app/landscape_picture.h"
#include "app/landscape_table.h"
#include "app/report.h"
#include "lcsc/base/atomic_file.h"
#include "lcsc/base/log.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/stop_signal.h"
#include "lcsc/base/table.h"
#include "lcsc/comm/gather.h"
#include "lcsc/io/png.h"
#include "lcsc/merge/weight_geometry.h"
#include "lcsc/service/candidate_evaluator.h"
#include "lcsc/service/evaluation_service.h"
#include "lcsc/state/run_directory.h"

namespace lcsc {
namespace {

namespace fs = std::filesystem;

// A candidate of the run, beside the plane.
struct NearCandidate {
  LandscapeMark mark;
  Candidate candidate;
  double distance = 0;  // to the plane
};

class LandscapeCommand : public Command {
 public:
  std::string name() const override { return "landscape"; }
  std::string summary() const override {
    return "scores a grid in the plane through three checkpoints: a table, and a picture with contour lines";
  }

  void AddOptions(OptionSet& set) override {
    set.AddPositional(
        {"", "run", "path",
         "a run directory: overrides run.directory; its config.ini serves where there is no --config, and "
         "its best EMA and best candidate are shown in the plane"},
        &run_);
    set.Add({"", "checkpoints", "steps", "of three checkpoints; none: the first, the middle one and the last"},
            &wanted_steps_, {0, 9e15});
    set.Add(
        {"", "grid", "points", "points in each direction; their square, and three more, is the number of evaluations"},
        &options_.size, {2, 1000});
    set.Add({"", "margin", "",
             "around the three checkpoints, as a share of their larger extent: the paper's basins lie outside of them"},
            &options_.margin, {0, 100});
    set.Add({"", "output", "path", "folder for landscape.csv, .json and .png; none: the run directory"}, &output_);
    AddJsonFlag(set, &json_);
    file_.AddOptions(set);
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    InstallStopSignals();
    AgreeOnSetUp(world, [&] { SetUp(world, set); });
    if (!IsFinished(world)) {
      file_.run.group_size = ResolveGroupSize(world, file_.run, file_.evaluation.trajectory);
      RunEvaluationService(
          world, file_.run,
          [&](Collective& group) {
            return std::make_unique<CandidateEvaluator>(file_.evaluation, group, LimitsOf(world, file_.run));
          },
          [&](EvaluationPool& pool) {
            Evaluate(pool);
            if (StopRequested()) Publish();  // before a launcher that was told to stop kills this rank
          });
    }
    if (world.world_rank == 0) Finish();
    return IsFinished(world) ? ExitCode::kDone : ExitCode::kInterrupted;
  }

 private:
  static constexpr double kPollSeconds = 0.1, kPublishSeconds = 1;

  void SetUp(const World& world, OptionSet& set) {
    if (!run_.empty() && !fs::is_directory(run_)) {
      throw ConfigError(
          "{}: expected the run directory of a search, found no folder; with --config alone there is no "
          "run, and --output says where the landscape goes",
          run_);
    }
    if (!run_.empty() && !set.IsSet("config") && fs::exists(fs::path(run_) / "config.ini")) {
      set.ReadConfig(fs::path(run_) / "config.ini");
    }
    if (!run_.empty()) file_.run.directory = run_;
    set.Require("evaluation.trajectory");
    for (const std::string& key : RequiredOptions(Objective(file_.evaluation.objective).metrics())) set.Require(key);
    if (output_.empty()) {
      set.Require("run.directory");
      output_ = file_.run.directory;
    }
    if (world.world_rank != 0) return;
    WarnOfReference(world, file_.evaluation);
    trajectory_ = ReadTrajectory(file_.evaluation.trajectory);
    indices_ = ChosenCheckpoints();
    identity_ = EvaluationIdentity(set, file_.evaluation, trajectory_);
    identity_["landscape.checkpoints"] = fmt::format("{},{},{}", Step(0), Step(1), Step(2));
    identity_["landscape.grid"] = fmt::format("{}", options_.size);
    identity_["landscape.margin"] = fmt::format("{}", options_.margin);
    CreateFolder(output_);
    CheckEarlier();
    ReadRun();
    MakeLandscape();
    if (fs::exists(CsvPath())) landscape_->ReadCsv(CsvPath());
    evaluated_before_ = landscape_->num_done();
    if (evaluated_before_ > 0) {
      spdlog::info("{}: {} of {} points are done", CsvPath().string(), evaluated_before_, landscape_->num_points());
    }
    // Before the first point: what the points that follow belong to.
    PublishText(JsonPath(), Json().dump(1) + "\n");
    // Ranks that read parts of rows cannot check the rows' digests themselves.
    if (file_.run.group_size != 1) VerifyTrajectory(trajectory_.folder);
  }

  fs::path CsvPath() const { return fs::path(output_) / "landscape.csv"; }
  fs::path JsonPath() const { return fs::path(output_) / "landscape.json"; }
  fs::path PicturePath() const { return fs::path(output_) / "landscape.png"; }
  std::int64_t Step(std::size_t corner) const { return trajectory_.steps[indices_[corner]]; }

  std::array<std::size_t, 3> ChosenCheckpoints() const {
    const std::vector<std::int64_t>& steps = trajectory_.steps;
    if (steps.size() < 3) {
      throw InputError("{}: expected at least 3 checkpoints, found {}", file_.evaluation.trajectory, steps.size());
    }
    if (wanted_steps_.empty()) return {0, steps.size() / 2, steps.size() - 1};
    if (wanted_steps_.size() != 3) {
      throw ConfigError("--checkpoints: expected three steps, found {}", wanted_steps_.size());
    }
    std::array<std::size_t, 3> indices{};
    for (std::size_t i = 0; i < 3; ++i) {
      const auto found = std::ranges::find(steps, static_cast<std::int64_t>(wanted_steps_[i]));
      if (found == steps.end()) {
        throw ConfigError("--checkpoints: expected steps of {} ({} to {}), found {}; `lcsc inspect` lists them",
                          file_.evaluation.trajectory, steps.front(), steps.back(), wanted_steps_[i]);
      }
      indices[i] = static_cast<std::size_t>(found - steps.begin());
    }
    if (indices[0] == indices[1] || indices[1] == indices[2] || indices[2] == indices[0]) {
      throw ConfigError("--checkpoints: expected three different steps, found {}, {}, {}", wanted_steps_[0],
                        wanted_steps_[1], wanted_steps_[2]);
    }
    return indices;
  }

  // Points of other options must not stand in one table with these.
  void CheckEarlier() const {
    if (!fs::exists(CsvPath())) return;
    std::ifstream file(JsonPath());
    const nlohmann::json earlier = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
    if (!earlier.is_object() || !earlier.contains("identity") || !earlier["identity"].is_object()) {
      throw InputError("{}: cannot read what the points of {} belong to; move both away", JsonPath().string(),
                       CsvPath().string());
    }
    for (const auto& [key, value] : identity_) {
      const auto before = earlier["identity"].find(key);
      const std::string found = before == earlier["identity"].end() ? "absent" : before->dump();
      if (found == nlohmann::json(value).dump()) continue;
      throw ConfigError(
          "{}: {} was {} when its points were evaluated and is \"{}\" now; give another --output, or move "
          "landscape.* away",
          CsvPath().string(), key, found, value);
    }
  }

  // The best EMA and the best candidate, when there is a population.
  void ReadRun() {
    const std::string& folder = file_.run.directory;
    if (folder.empty() || !fs::exists(fs::path(folder) / "population.h5")) return;
    const PopulationSnapshot snapshot = *RunDirectory::OpenExisting(folder).ReadSnapshot();
    CheckSearchedTrajectory(snapshot.identity, trajectory_, folder);
    const EvaluatedCandidate* ema = BestOf(snapshot.population, /*only_ema=*/true);
    const EvaluatedCandidate* best = BestOf(snapshot.population);
    if (ema != nullptr) Show("best EMA", *ema);
    if (best != nullptr && best != ema) Show("LCSC", *best);
  }

  void Show(const std::string& label, const EvaluatedCandidate& member) {
    NearCandidate& near = near_.emplace_back();
    near.mark.label = label;
    near.mark.is_star = label == "LCSC";
    near.candidate = member.candidate;
  }

  void MakeLandscape() {
    const std::size_t k = trajectory_.steps.size();
    std::vector<Coefficients> points;
    for (const std::size_t corner : {1, 2}) points.push_back(SingleCheckpoint({indices_[corner], k}));
    for (const NearCandidate& near : near_) points.push_back(near.candidate.coefficients);
    const at::Tensor products = DifferenceProducts(trajectory_, SingleCheckpoint({indices_[0], k}), points);
    const auto product = [&](std::size_t i, std::size_t j) {
      return products[static_cast<std::int64_t>(i)][static_cast<std::int64_t>(j)].item<double>();
    };
    const Plane plane({indices_, k}, {product(0, 0), product(0, 1), product(1, 1)});
    for (std::size_t i = 0; i < near_.size(); ++i) {
      const PlanePoint foot = plane.Foot({product(i + 2, 0), product(i + 2, 1)});
      const double beside = product(i + 2, i + 2) - foot.x * foot.x - foot.y * foot.y;
      near_[i].mark.point = foot;
      near_[i].distance = std::sqrt(std::max(0.0, beside));
    }
    landscape_.emplace(plane, GridAround(plane.corners(), options_), std::array{Step(0), Step(1), Step(2)});
  }

  // Whether no point is left, as rank 0 knows. Collective.
  bool IsFinished(const World& world) const {
    const bool finished = landscape_ && landscape_->num_done() == landscape_->num_points();
    return GatherTexts(world, finished ? "finished" : "").front() == "finished";
  }

  void Evaluate(EvaluationPool& pool) {
    Progress progress(
        {.title = "landscape", .unit = "points", .total = landscape_->num_points(), .done_before = evaluated_before_});
    std::int64_t next = 0;
    while (landscape_->num_done() < landscape_->num_points() && !StopRequested()) {
      for (; pool.HasRoom() && next < landscape_->num_points(); ++next) {
        if (!landscape_->outcome(next)) pool.Submit(landscape_->CandidateOf(next));
      }
      for (auto result = pool.Wait(kPollSeconds); result; result = pool.Wait(0)) {
        landscape_->Tell(result->candidate_id, result->outcome);
      }
      progress.Update(landscape_->num_done());
      PublishIfDue();
      if (const auto hang = pool.FindHang()) {
        Publish();
        throw LostRankError("{}", hang->text);
      }
    }
  }

  void PublishIfDue() {
    const auto now = std::chrono::steady_clock::now();
    if (std::chrono::duration<double>(now - last_publish_).count() >= kPublishSeconds) Publish();
  }

  void Publish() {
    PublishText(CsvPath(), landscape_->ToCsv());
    last_publish_ = std::chrono::steady_clock::now();
  }

  void Finish() {
    Publish();
    const nlohmann::json json = Json();
    PublishText(JsonPath(), json.dump(1) + "\n");
    if (landscape_->num_done() < landscape_->num_points()) {
      spdlog::info("{}: stopped with {} of {} points; the same command goes on", StopSignalName(),
                   landscape_->num_done(), landscape_->num_points());
    } else if (landscape_->Minimum()) {
      WritePng(PicturePath(), DrawLandscape(*landscape_, Marks(), Words()));
    } else {
      spdlog::warn("no point of the grid has a score ({}); there is nothing to draw", landscape_->outcome(0)->failure);
    }
    std::fputs((json_ ? json.dump() + "\n" : Text()).c_str(), stdout);
  }

  std::vector<LandscapeMark> Marks() const {
    std::vector<LandscapeMark> marks;
    for (const NearCandidate& near : near_) marks.push_back(near.mark);
    return marks;
  }

  LandscapeWords Words() const { return {Objective(file_.evaluation.objective).Title(), NoiseText(file_.evaluation)}; }

  static nlohmann::json PointJson(PlanePoint point) { return {{"x", point.x}, {"y", point.y}}; }

  nlohmann::json CornersJson() const {
    nlohmann::json corners = nlohmann::json::array();
    for (std::size_t i = 0; i < 3; ++i) {
      nlohmann::json corner = PointJson(landscape_->plane().corners()[i]);
      const auto score = landscape_->ScoreOf(landscape_->grid().num_points() + static_cast<std::int64_t>(i));
      corner.update({{"step", Step(i)}, {"score", score ? nlohmann::json(*score) : nlohmann::json()}});
      corners.push_back(std::move(corner));
    }
    return corners;
  }

  nlohmann::json MinimumJson() const {
    const auto id = landscape_->Minimum();
    if (!id) return {};
    nlohmann::json minimum = PointJson(landscape_->PointOf(*id));
    minimum.update({{"id", *id},
                    {"score", *landscape_->ScoreOf(*id)},
                    {"coefficients", landscape_->CandidateOf(*id).coefficients}});
    return minimum;
  }

  nlohmann::json Json() const {
    nlohmann::json json = MeasureJson(file_.evaluation);
    const PlaneGrid& grid = landscape_->grid();
    json.update(
        {{"version", 1},
         {"finished", landscape_->num_done() == landscape_->num_points()},
         {"points", landscape_->num_points()},
         {"points_done", landscape_->num_done()},
         {"points_done_before", evaluated_before_},
         {"seed", file_.evaluation.seed},
         {"num_samples", file_.evaluation.num_samples},
         {"trajectory", file_.evaluation.trajectory},
         {"trajectory_digest", trajectory_.Digest()},
         {"checkpoints", CornersJson()},
         {"grid",
          {{"size", grid.size}, {"margin", options_.margin}, {"low", PointJson(grid.low)}, {"side", grid.side}}},
         {"minimum", MinimumJson()},
         {"picture", {{"width", kLandscapeWidth}, {"height", kLandscapeHeight}}},
         {"identity", identity_}});
    json["candidates"] = nlohmann::json::array();
    for (const NearCandidate& near : near_) {
      nlohmann::json mark = PointJson(near.mark.point);
      mark.update({{"weights", near.mark.label},
                   {"which", CandidateText(near.candidate)},
                   {"candidate", near.candidate.id},
                   {"distance_to_plane", near.distance}});
      json["candidates"].push_back(std::move(mark));
    }
    return json;
  }

  std::string Text() const {
    Table table({"weights", "x", "y", "distance to the plane", Words().score});
    const auto add = [&](const std::string& title, PlanePoint point, double distance, const std::string& score) {
      table.AddRow({title, fmt::format("{:.4g}", point.x), fmt::format("{:.4g}", point.y),
                    fmt::format("{:.4g}", distance), score});
    };
    const auto score_text = [&](std::int64_t id) {
      return landscape_->ScoreOf(id) ? fmt::format("{:.3f}", *landscape_->ScoreOf(id)) : "";
    };
    for (std::size_t i = 0; i < 3; ++i) {
      add(fmt::format("step {}", Step(i)), landscape_->plane().corners()[i], 0,
          score_text(landscape_->grid().num_points() + static_cast<std::int64_t>(i)));
    }
    if (const auto id = landscape_->Minimum()) add("lowest of the grid", landscape_->PointOf(*id), 0, score_text(*id));
    for (const NearCandidate& near : near_) add(near.mark.label, near.mark.point, near.distance, "");
    return fmt::format("{}\n{} of {} points; {}\n{}x, y: distances between weights\n{}\n", table.ToString(),
                       landscape_->num_done(), landscape_->num_points(), NoiseText(file_.evaluation),
                       MeasureText(file_.evaluation), (fs::path(output_) / "landscape.{csv,json,png}").string());
  }

  std::string run_, output_;
  std::vector<double> wanted_steps_;
  PlaneGridOptions options_;
  bool json_ = false;
  ConfigFile file_;
  Trajectory trajectory_;
  std::array<std::size_t, 3> indices_{};
  RunIdentity identity_;
  std::vector<NearCandidate> near_;
  std::optional<Landscape> landscape_;  // rank 0's
  std::int64_t evaluated_before_ = 0;
  std::chrono::steady_clock::time_point last_publish_ = std::chrono::steady_clock::now();
};

}  // namespace

std::unique_ptr<Command> MakeLandscapeCommand() { return std::make_unique<LandscapeCommand>(); }

}  // namespace lcsc
