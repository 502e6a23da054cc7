// `lcsc status --watch`: what it makes of live.json, and its loop beside a run that another process changes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <limits>
#include <map>

#include "app/tiny_project.h"
#include "app/watch.h"
#include "lcsc/base/error.h"
#include "lcsc/base/living_process.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

constexpr const char* kLive = R"({
  "updated": 1000.5, "host": "n1", "pid": 123, "started": 5, "job": "77", "state": "running", "evaluations": 120,
  "planned_evaluations": 400, "candidates_per_hour": 1834.25, "eta_seconds": 600.0, "best_score": 8.5,
  "best_ema_score": null, "best_curve": [[1, 40.0], [60, 12.0], [100, 8.5]],
  "groups": [{"group": 0, "ranks": [
      {"rank": 1, "host": "n1", "pid": 124, "candidate": 17, "stage": "sample", "stage_seconds": 1.25,
       "heartbeat_age_s": 0.3},
      {"rank": 2, "host": "n2", "pid": 125, "candidate": null, "stage": "idle", "stage_seconds": 70,
       "heartbeat_age_s": 12}]}]})";

Json LiveJson() { return Json::parse(kLive); }

std::string Refusal(const Json& live) {
  try {
    ParseLiveView(live.dump(), "live.json");
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(LiveViewTest, ReadsTheDocumentedForm) {
  const LiveView view = ParseLiveView(kLive, "live.json");
  EXPECT_EQ(view.pid, 123);
  EXPECT_EQ(view.job, "77");
  EXPECT_EQ(view.eta_s, 600.0);
  EXPECT_FALSE(view.best_ema_score);
  ASSERT_EQ(view.ranks.size(), 2u);
  EXPECT_EQ(view.ranks[0].candidate, 17);
  EXPECT_FALSE(view.ranks[1].candidate);
  EXPECT_EQ(JsonOf(view), LiveJson());
}

TEST(LiveViewTest, ADamagedReportIsRefusedByName) {
  EXPECT_THROW(ParseLiveView("{\"updated\": 1", "live.json"), InputError);
  EXPECT_THROW(ParseLiveView("", "live.json"), InputError);
  EXPECT_THAT(Refusal(Json::array()), HasSubstr("expected an object"));
  const Json whole = LiveJson();
  for (const auto& [key, value] : whole.items()) {
    if (key == "groups" || key == "started" || key == "eta_seconds" || key.starts_with("best_")) continue;
    Json without = whole;
    without.erase(key);
    EXPECT_THAT(Refusal(without), HasSubstr("live.json: " + key));
  }
  for (const Json& curve : {Json(1), Json::array({1}), Json::parse("[[1]]"), Json::parse("[[0.5, 1]]")}) {
    Json wrong = LiveJson();
    wrong["best_curve"] = curve;
    EXPECT_THAT(Refusal(wrong), HasSubstr("best_curve")) << curve;
  }
  Json wrong = LiveJson();
  wrong["groups"][0]["ranks"][1].erase("stage");
  EXPECT_THAT(Refusal(wrong), HasSubstr("ranks: stage"));
}

TEST(LiveViewTest, WordsCannotCommandTheTerminal) {
  Json live = LiveJson();
  live["host"] = "\033[2Jn1\n";
  live["groups"][0]["ranks"][0]["stage"] = std::string(1000, '\a');
  const LiveView view = ParseLiveView(live.dump(), "live.json");
  EXPECT_EQ(view.host, "?[2Jn1?");
  EXPECT_EQ(view.ranks[0].stage, std::string(64, '?'));
}

TEST(LiveViewTest, SaysWhetherTheSearchLives) {
  LiveView view = ParseLiveView(kLive, "live.json");
  EXPECT_EQ(LivenessOf(std::nullopt, {"n1", 1001}), Liveness::kNone);
  EXPECT_EQ(LivenessOf(view, {"n9", 1001}), Liveness::kLive);
  EXPECT_EQ(LivenessOf(view, {"n9", 1100}), Liveness::kSilent);
  EXPECT_THAT(Headline(view, {"n9", 1100}), AllOf(HasSubstr("no live search"), HasSubstr("1m40s ago")));
  view.pid = std::numeric_limits<pid_t>::max();  // beyond any process
  EXPECT_EQ(LivenessOf(view, {"n1", 1100}), Liveness::kGone);
  EXPECT_THAT(Headline(view, {"n1", 1100}), AllOf(HasSubstr("no live search"), HasSubstr("is gone")));
  view.pid = ::getpid();
  EXPECT_EQ(LivenessOf(view, {"n1", 1100}), Liveness::kGone) << "another process got the number";
  view.started = IdentifyProcess(view.pid).started;
  EXPECT_EQ(LivenessOf(view, {"n1", 1100}), Liveness::kLive);
  EXPECT_THAT(Headline(view, {"n1", 1100}), AllOf(HasSubstr("running on n1"), HasSubstr("says nothing")));
  view.state = "interrupted";
  EXPECT_EQ(LivenessOf(view, {"n1", 1100}), Liveness::kEnded);
}

TEST(WatchTest, SparklineSpansTheValues) {
  EXPECT_EQ(Sparkline({}), "");
  EXPECT_EQ(Sparkline({5, 5, 5}), "▁▁▁");
  EXPECT_EQ(Sparkline({0, 1, 2, 3, 4, 5, 6, 7}), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(Sparkline({8, 4.1, 1}), "█▄▁");
  EXPECT_EQ(Sparkline({-std::numeric_limits<double>::max(), std::numeric_limits<double>::max()}), "▁█");
}

TEST(WatchTest, CurveIsAStepFunctionOfEvaluations) {
  EXPECT_TRUE(CurvePoints({}, 10, 5).empty());
  EXPECT_THAT(CurvePoints({{1, 40}, {3, 12}, {5, 8}}, 9, 5), ElementsAre(40, 12, 8, 8, 8));
  EXPECT_THAT(CurvePoints({{1, 40}}, 1, 3), ElementsAre(40, 40, 40));
}

TEST(WatchTest, TableNamesRanksAndWhatTheyDo) {
  const LiveView view = ParseLiveView(kLive, "live.json");
  const std::string text = WatchText("the headline", view, 10);
  EXPECT_THAT(text, AllOf(HasSubstr("the headline"), HasSubstr("120 of 400 (30%)"), HasSubstr("1834.2"),
                          HasSubstr("10m00s"), HasSubstr("8.5000"), HasSubstr("none yet"), HasSubstr("40.0000 ██")));
  EXPECT_THAT(text,
              AllOf(HasSubstr("sample"), HasSubstr("17"), HasSubstr("n2"), HasSubstr("1m10s"), HasSubstr("12.0s ago")));
  EXPECT_THAT(WatchText("", view, 1), AllOf(Not(HasSubstr("n2")), HasSubstr("... and 1 more ranks")));
}

TEST(WatchTest, ASnapshotShowsTheSame) {
  PopulationSnapshot snapshot;
  snapshot.planned_evaluations = 10;
  snapshot.seconds = 1800;
  for (const double score : {9.0, 11.0, std::nan(""), 7.0}) {
    EvaluatedCandidate member;
    member.candidate.id = static_cast<std::int64_t>(snapshot.population.size());
    if (member.candidate.id < 2) member.candidate.ema_rate = 0.9;
    if (score == score) member.outcome.score = score;
    snapshot.population.push_back(member);
  }
  const LiveView view = ViewOf(snapshot);
  EXPECT_EQ(view.evaluations, 4);
  EXPECT_EQ(view.candidates_per_hour, 8);
  EXPECT_EQ(view.best_score, 7.0);
  EXPECT_EQ(view.best_ema_score, 9.0);
  EXPECT_THAT(view.best_curve, ElementsAre(std::pair(1, 9.0), std::pair(4, 7.0)));
}

// Every file of the run with its content and the time of its last change.
std::map<std::string, std::string> Listing(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files[entry.path()] = ReadBytes(entry.path()) + std::to_string(entry.last_write_time().time_since_epoch().count());
  }
  return files;
}

class WatchedRunTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    project_ = new TinyProject;
    ASSERT_EQ(RunCommand(Lcsc(project_->Search("run"))).exit_code, 0);
  }
  static void TearDownTestSuite() { delete project_; }

  static std::string run() { return project_->Path("run"); }
  static void WriteLive(const std::string& text) {
    WriteBytes(run() + "/live.json.new", text);
    std::filesystem::rename(run() + "/live.json.new", run() + "/live.json");
  }
  static Json LiveNow(const std::string& state) {
    Json live = LiveJson();
    live.update({{"state", state}, {"updated", ObserverHere().now_s}, {"host", ObserverHere().host}});
    live["pid"] = ::getpid();
    return live;
  }

  static TinyProject* project_;
};
TinyProject* WatchedRunTest::project_ = nullptr;

TEST_F(WatchedRunTest, WatchesUntilTheSearchEndsAndWritesNothing) {
  WriteLive(LiveNow("running").dump());
  const auto before = Listing(run());
  const std::string watched = project_->Path("watched");
  RunningCommand command(
      {"/bin/sh", "-c", "exec \"$0\" status \"$1\" --watch --interval 0.1 > \"$2\"", LCSC_BINARY, run(), watched});
  const auto count = [&](const std::string& word) {
    const std::string text = ReadBytes(watched);
    int found = 0;
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
    return found;
  };
  ASSERT_TRUE(command.WaitUntil([&] { return count("running on") >= 3; }));
  EXPECT_EQ(Listing(run()), before);
  WriteLive(LiveNow("done").dump());
  const CommandResult result = command.Wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(count("done on"), 1);
  EXPECT_GE(count("120 of 400 (30%)"), 4);
}

TEST_F(WatchedRunTest, ADamagedReportIsALineAndNoCrash) {
  WriteLive("half a report {");
  const CommandResult result = RunCommand(Lcsc({"status", run(), "--watch"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("live.json: expected JSON"), HasSubstr("15 of 15 (100%)")));
}

TEST_F(WatchedRunTest, JsonIsOneObjectALine) {
  WriteLive(LiveNow("interrupted").dump());
  const CommandResult result = RunCommand(Lcsc({"status", run(), "--watch", "--json"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const Json shown = Json::parse(result.out);
  EXPECT_EQ(shown["state"], "interrupted");
  EXPECT_EQ(shown["live"], false);
  EXPECT_EQ(shown["best_curve"], LiveJson()["best_curve"]);
  EXPECT_EQ(shown["groups"], LiveJson()["groups"]);
}

TEST_F(WatchedRunTest, WithoutALiveSearchTheSnapshotIsShown) {
  std::filesystem::remove(run() + "/live.json");
  CommandResult result = RunCommand(Lcsc({"status", run(), "--watch"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("no live search"), HasSubstr("15 of 15 (100%)")));

  Json dead = LiveNow("running");
  dead.update({{"pid", std::numeric_limits<pid_t>::max()}, {"updated", 1000}});
  WriteLive(dead.dump());
  result = RunCommand(Lcsc({"status", run(), "--watch"}));
  EXPECT_THAT(result.out, AllOf(HasSubstr("that process is gone"), HasSubstr("15 of 15 (100%)")));
}

TEST_F(WatchedRunTest, StatusSaysWhetherASearchIsAtWork) {
  WriteLive(LiveNow("running").dump());
  EXPECT_THAT(RunCommand(Lcsc({"status", run()})).out, AllOf(HasSubstr("running on"), HasSubstr("10m00s")));
  EXPECT_EQ(project_->Status("run")["live"]["candidates_per_hour"], 1834.25);
  WriteLive("{");
  EXPECT_THAT(RunCommand(Lcsc({"status", run()})).out, HasSubstr("damaged"));
  EXPECT_TRUE(project_->Status("run")["live"].is_null());
}

// Its lock is there before its first report.
TEST_F(WatchedRunTest, ASearchInItsSetUpIsLive) {
  WriteLive(LiveNow("interrupted").dump());
  const auto look = [&](const std::string& host, std::int64_t started) {
    WriteBytes(run() + "/lock",
               Json{{"host", host}, {"pid", ::getpid()}, {"started", started}, {"job", "8\033[2J"}}.dump());
    return LookAtLiveView(run(), ObserverHere());
  };
  const std::int64_t started = IdentifyProcess(::getpid()).started;
  const Moment moment = look(ObserverHere().host, started);
  EXPECT_EQ(moment.liveness, Liveness::kLive);
  EXPECT_THAT(moment.headline, AllOf(HasSubstr("Slurm job 8?[2J"), HasSubstr("sets up")));
  EXPECT_EQ(moment.view.evaluations, 120);
  EXPECT_TRUE(moment.view.ranks.empty());
  EXPECT_EQ(look(ObserverHere().host, started + 1).liveness, Liveness::kEnded) << "the holder is dead";
  EXPECT_EQ(look("elsewhere", started).liveness, Liveness::kLive);
  const auto long_ago = std::filesystem::file_time_type::clock::now() - std::chrono::minutes(1);
  std::filesystem::last_write_time(run() + "/lock", long_ago);
  EXPECT_EQ(LookAtLiveView(run(), ObserverHere()).liveness, Liveness::kEnded) << "no sign of life";
  Json reported = LiveNow("interrupted");
  reported["started"] = started;
  WriteLive(reported.dump());
  EXPECT_EQ(look(ObserverHere().host, started).liveness, Liveness::kEnded) << "it is about to end";
  std::filesystem::remove(run() + "/lock");
}

TEST_F(WatchedRunTest, AFolderThatIsNotThereIsRefused) {
  const CommandResult result = RunCommand(Lcsc({"status", run() + "-absent", "--watch"}));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("no such folder"));
}

}  // namespace
}  // namespace lcsc
