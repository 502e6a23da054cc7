// `lcsc report`: one page about a search, sound in a real browser.
#include <cmath>
#include <cstdlib>
#include <regex>
#include <set>

#include "app/report_facts.h"
#include "app/tiny_project.h"
#include "lcsc/io/png.h"
#include "lcsc/report/html.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;
namespace fs = std::filesystem;

class ReportTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    project_ = new TinyProject;
    ASSERT_EQ(RunCommand(Lcsc(project_->Search("run"))).exit_code, 0);
    best_ = project_->Status("run")["best_score"].get<double>();
  }
  static void TearDownTestSuite() { delete project_; }

  static std::string Path(const std::string& name) { return project_->Path(name); }

  // A copy of the run, in which a test may do what it likes.
  static std::string CopyOfRun(const std::string& name) {
    fs::copy(Path("run"), Path(name));
    return Path(name);
  }

  static CommandResult Report(const std::string& run, const Arguments& more = {}) {
    return RunCommand(Lcsc(Arguments{"report", run} + more));
  }

  // The page that a report of the run writes.
  static std::string PageOf(const std::string& run, const Arguments& more = {}) {
    const CommandResult result = Report(run, more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return ReadBytes(fs::path(run) / "report.html");
  }

  static std::size_t Count(const std::string& text, const std::string& pattern) {
    const std::regex regex(pattern);
    return static_cast<std::size_t>(std::distance(std::sregex_iterator(text.begin(), text.end(), regex), {}));
  }

  static void ExpectRefused(const CommandResult& result, const std::string& words) {
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, HasSubstr(words));
    EXPECT_EQ(Count(result.err, "error:"), 1u) << result.err;
  }

  static TinyProject* project_;
  static double best_;
};
TinyProject* ReportTest::project_ = nullptr;
double ReportTest::best_ = 0;

TEST_F(ReportTest, SaysWhatTheSearchFoundAndOnWhichNoise) {
  const std::string run = CopyOfRun("plain");
  const std::string page = PageOf(run, {"--images", "5"});
  EXPECT_THAT(page, AllOf(HasSubstr(fmt::format("<b>{:.4f}</b>", best_)), HasSubstr("<b>15 of 15</b>"),
                          HasSubstr("FID, search noise (noise seed 1, 60 samples)"),
                          HasSubstr("samples 0 to 4 of noise seed 1000"), HasSubstr("epochs = 3"),
                          HasSubstr("6 features that the digits extractor")));
  EXPECT_EQ(Count(page, "<img "), 10u);
  EXPECT_EQ(Count(page, "<svg viewBox=\"0 0 440"), 4u);
  EXPECT_EQ(Count(page, R"(https?://|<script|@import|url\()"), 0u);
  const auto identity = RunDirectory::OpenExisting(run).ReadSnapshot()->identity;
  EXPECT_THAT(page, HasSubstr(identity.at("digest of evaluation.trajectory")));
  EXPECT_THAT(page, HasSubstr("lcsc baselines " + run));
}

TEST_F(ReportTest, PairsAreOfOneNoiseAndSortedByTheirDistance) {
  const std::string page = PageOf(CopyOfRun("pairs"), {"--images", "8"});
  static const std::regex kCaption(R"(sample (\d+): ([0-9.e-]+)</figcaption>)");
  std::vector<double> distances;
  std::set<int> samples;
  for (std::sregex_iterator it(page.begin(), page.end(), kCaption), end; it != end; ++it) {
    samples.insert(std::stoi((*it)[1]));
    distances.push_back(std::stod((*it)[2]));
  }
  EXPECT_EQ(samples.size(), 8u);
  EXPECT_TRUE(std::ranges::is_sorted(distances, std::ranges::greater{}));
  EXPECT_GT(distances.front(), distances.back());
  // The same images as `lcsc sample` draws of the same weights and noise.
  const CommandResult merged =
      RunCommand(Lcsc({"merge", "--run", Path("pairs"), "--output", Path("best.safetensors")}));
  ASSERT_EQ(merged.exit_code, 0) << merged.err;
  const CommandResult sampled =
      RunCommand(Lcsc({"sample", "--config", Path("pairs/config.ini"), "--weights", Path("best.safetensors"), "--seed",
                       "1000", "--num-samples", "8", "--grid", Path("best.png"), "--grid-images", "1"}));
  ASSERT_EQ(sampled.exit_code, 0) << sampled.err;
  const at::Tensor first = ReadPng(Path("best.png")).slice(1, 2, 34, 4).slice(2, 2, 34, 4).contiguous();
  EXPECT_THAT(page, HasSubstr(PngUri(EncodePng(first)) + "\" alt=\"best candidate, sample 0\""));
}

// What `lcsc baselines` writes: a single checkpoint, and the search's best.
std::string BaselinesJson(const Json& best) {
  return Json{{"objective", "fid"},
              {"search_noise", {{"seed", 1}, {"num_samples", 60}}},
              {"held_out_noise", {{"seed", 7}, {"num_samples", 4321}}},
              {"curve", Json::array()},
              {"audits", {{{"extractor", "another.safetensors"}}}},
              {"rows",
               {{{"weights", "last <checkpoint>"},
                 {"which", "step 50"},
                 {"coefficients", {0, 0, 0, 0, 1}},
                 {"search_fid", 33.25},
                 {"held_out_fid", nullptr},
                 {"audit_fid", {7.75}}},
                {{"weights", "LCSC"},
                 {"which", "candidate"},
                 {"coefficients", best["coefficients"]},
                 {"search_fid", best["score"]},
                 {"held_out_fid", 12.125},
                 {"audit_fid", {8.75}}}}}}
      .dump(1);
}

TEST_F(ReportTest, ShowsWhatBaselinesFound) {
  const std::string run = CopyOfRun("compared");
  const Json status = project_->Status("run");
  for (const Json& candidate : status["candidates"]) {
    if (candidate["id"] == status["best_candidate"]) WriteBytes(run + "/baselines.json", BaselinesJson(candidate));
  }
  const std::string page = PageOf(run, {"--images", "0"});
  EXPECT_THAT(page, AllOf(HasSubstr("noise seed 7, 4321 samples"),
                          HasSubstr("FID, held-out noise, n = 4321, under another.safetensors"),
                          HasSubstr("best so far, held-out noise"), HasSubstr("<b>12.1250</b>"),
                          HasSubstr("<td>last &lt;checkpoint&gt;</td><td>step 50</td><td class=\"number\">33.2500</td>"
                                    "<td>none</td><td class=\"number\">7.7500</td>"),
                          Not(HasSubstr("Not measured yet")), HasSubstr("No images: none were asked for.")));
}

TEST_F(ReportTest, TheCurveIsOfTheCandidatesThatWereTheBest) {
  const std::string run = CopyOfRun("curve");
  const CommandResult measured = RunCommand(
      Lcsc({"baselines", run, "--baselines", "last", "--held-out-samples", "40", "--curve", "100", "--json"}));
  ASSERT_EQ(measured.exit_code, 0) << measured.err;
  const Json result = Json::parse(measured.out), status = project_->Status("run");
  std::vector<Json> found, expected;
  for (const Json& row : result["curve"]) found.push_back(row["coefficients"]);
  double best = INFINITY;
  for (const Json& candidate : status["candidates"]) {
    if (candidate["score"].get<double>() >= best) continue;
    best = candidate["score"].get<double>();
    const bool is_in_table = std::ranges::any_of(
        result["rows"], [&](const Json& row) { return row["coefficients"] == candidate["coefficients"]; });
    if (!is_in_table) expected.push_back(candidate["coefficients"]);
  }
  EXPECT_EQ(found, expected);
  EXPECT_THAT(PageOf(run, {"--images", "0"}), HasSubstr("best so far, held-out noise"));
  ExpectRefused(RunCommand(Lcsc({"baselines", "--config", Path("search.ini"), "--curve", "1"})),
                "--curve: expected a run");
}

TEST_F(ReportTest, AnUnfinishedSearchHasAReportToo) {
  const std::string run = CopyOfRun("unfinished");
  PopulationSnapshot snapshot = *RunDirectory::OpenExisting(run).ReadSnapshot();
  snapshot.state = RunState::kInterrupted;
  snapshot.population.resize(2);
  snapshot.population[1].outcome.score.reset();
  snapshot.population[1].outcome.failure = "a <b>bad</b> day";
  PublishPopulation(run + "/population.h5", snapshot);
  fs::remove(run + "/metrics.jsonl");
  fs::remove(run + "/live.json");
  const std::string page = PageOf(run);
  EXPECT_THAT(page, AllOf(HasSubstr("<b>2 of 15</b>"), HasSubstr("<td>interrupted<"), HasSubstr("Nothing to draw yet."),
                          HasSubstr("1: a &lt;b&gt;bad&lt;/b&gt; day"), HasSubstr("is the best EMA itself")));
  snapshot.population.clear();
  PublishPopulation(run + "/population.h5", snapshot);
  EXPECT_THAT(PageOf(run), HasSubstr("No candidate has a score yet."));
}

TEST_F(ReportTest, WithoutTheTrajectoryThereAreNoImagesUnlessTheyWereAskedFor) {
  const std::string run = CopyOfRun("moved");
  std::string config = ReadBytes(run + "/config.ini");
  config.replace(config.find(Path("f32.traj")), Path("f32.traj").size(), "/nowhere.traj");
  WriteBytes(run + "/config.ini", config);
  const CommandResult result = Report(run);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("no images: "));
  EXPECT_THAT(ReadBytes(run + "/report.html"),
              AllOf(HasSubstr("No images: "), HasSubstr("/nowhere.traj"), HasSubstr("checkpoint, in order of steps")));
  ExpectRefused(Report(run, {"--images", "4"}), "/nowhere.traj");
}

TEST_F(ReportTest, RefusesWhatIsNoRunAndLeavesTheOldPage) {
  ExpectRefused(Report("/nowhere"), "/nowhere: expected a run directory");
  ExpectRefused(Report(Path("run"), {"--image-seed", "1", "--images", "4"}), "--image-seed");
  const std::string run = CopyOfRun("damaged");
  WriteBytes(run + "/report.html", "the old page");
  WriteBytes(run + "/baselines.json", "{\"rows\": 3}");
  ExpectRefused(Report(run), "baselines.json: expected what `lcsc baselines` writes");
  fs::remove(run + "/baselines.json");
  WriteBytes(run + "/landscape.png", "no image");
  ExpectRefused(Report(run), "landscape.png: expected a PNG image");
  fs::remove(run + "/landscape.png");
  WriteBytes(run + "/population.h5", "no population");
  fs::remove(run + "/population.prev.h5");
  ExpectRefused(Report(run), "population.h5");
  EXPECT_EQ(ReadBytes(run + "/report.html"), "the old page");
}

TEST_F(ReportTest, OutcomeTimesPassOverWhatAKillCutOff) {
  WriteBytes(
      Path("metrics.jsonl"),
      "{\"id\": 3, \"seconds\": 1.5}\n{\"id\": 3, \"seconds\": 9}\n[]\n{\"id\": 4, \"seconds\": 2}\n{\"id\": 5, \"s");
  const OutcomeTimes times = ReadOutcomeTimes(Path("metrics.jsonl"));
  EXPECT_EQ(times.told_s, (std::map<std::int64_t, double>{{3, 1.5}, {4, 2}}));
  EXPECT_EQ(times.unreadable_lines, 2);
}

TEST_F(ReportTest, ABrowserShowsItWholeOnADeskAndOnAPhone) {
  const std::string run = CopyOfRun("shown");
  WriteBytes(run + "/baselines.json", BaselinesJson(project_->Status("run")["candidates"][0]));
  WritePng(run + "/landscape.png", at::full({3, 400, 2000}, 128, at::kByte));
  WriteBytes(run + "/landscape.json", R"({"noise": "<seed> 1", "scores": [1, 2]})");
  PageOf(run);
  const CommandResult browser =
      RunCommand({"python3", LCSC_SOURCE_DIR "/tests/app/check_page.py", run + "/report.html", "--headings",
                  "Summary|Convergence|Coefficients|Stages and utilisation|Baselines|Samples|Landscape|Provenance"});
  if (browser.exit_code == 77 && std::getenv("CI") == nullptr) GTEST_SKIP() << browser.out;
  EXPECT_EQ(browser.exit_code, 0) << browser.out << browser.err;
}

}  // namespace
}  // namespace lcsc
