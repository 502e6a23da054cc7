#include "lcsc/service/live_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/temp_folder.h"

namespace lcsc {
namespace {

LiveState Running() {
  return {.state = "running",
          .evaluations = 30,
          .planned_evaluations = 100,
          .session_evaluations = 20,
          .session_seconds = 40,
          .best_score = 1.5,
          .best_ema_score = {}};
}

std::vector<RankActivity> Ranks() {
  std::vector<RankActivity> ranks(3);
  for (int i = 0; i < 3; ++i) {
    ranks[static_cast<std::size_t>(i)] = {.group = i / 2,
                                          .world_rank = i + 1,
                                          .host = "n1",
                                          .pid = 100 + i,
                                          .candidate_id = {},
                                          .stage = "idle",
                                          .stage_seconds = 2,
                                          .heartbeat_age_s = 0.5};
  }
  ranks[1].candidate_id = 17;
  ranks[1].stage = "sample";
  return ranks;
}

TEST(LiveReportTest, SaysWhoDoesWhatAndHowLongItWillTake) {
  const nlohmann::json json = LiveJson(Running(), Ranks(), {{1, 3.0}, {12, 1.5}}, 1e9);
  EXPECT_EQ(json["updated"], 1e9);
  EXPECT_GT(json["started"], 0);
  EXPECT_EQ(json["state"], "running");
  EXPECT_EQ(json["candidates_per_hour"], 1800);
  EXPECT_EQ(json["eta_seconds"], 140);
  EXPECT_EQ(json["best_score"], 1.5);
  EXPECT_TRUE(json["best_ema_score"].is_null());
  EXPECT_EQ(json["best_curve"].dump(), "[[1,3.0],[12,1.5]]");
  ASSERT_EQ(json["groups"].size(), 2u);
  ASSERT_EQ(json["groups"][0]["ranks"].size(), 2u);
  const nlohmann::json& busy = json["groups"][0]["ranks"][1];
  EXPECT_EQ(busy["rank"], 2);
  EXPECT_EQ(busy["candidate"], 17);
  EXPECT_EQ(busy["stage"], "sample");
  EXPECT_EQ(busy["heartbeat_age_s"], 0.5);
  EXPECT_TRUE(json["groups"][1]["ranks"][0]["candidate"].is_null());
}

TEST(LiveReportTest, ASearchThatHasJustBegunDoesNotKnowItsEnd) {
  LiveState state = Running();
  state.session_evaluations = 0;
  EXPECT_TRUE(LiveJson(state, {}, {}, 0)["eta_seconds"].is_null());
}

class LiveFileTest : public ::testing::Test {
 protected:
  std::string StateInFile() const { return nlohmann::json::parse(ReadBytes(file_))["state"]; }
  TempFolder folder_;
  std::filesystem::path file_ = folder_ / "live.json";
};

TEST_F(LiveFileTest, WhatEndsWithoutSayingSoHasFailed) {
  {
    LiveReport report(file_);
    EXPECT_TRUE(report.IsDue());
    report.Write(Running(), Ranks());
    EXPECT_FALSE(report.IsDue());
    EXPECT_EQ(StateInFile(), "running");
  }
  EXPECT_EQ(StateInFile(), "failed");
  {
    LiveReport report(file_);
    LiveState done = Running();
    done.state = "done";
    report.Write(done, {});
  }
  EXPECT_EQ(StateInFile(), "done");
  { const LiveReport unused(file_); }
  EXPECT_EQ(StateInFile(), "done");
  EXPECT_FALSE(std::filesystem::exists(file_.string() + ".tmp"));
}

TEST_F(LiveFileTest, TheCurveStaysShortAndKeepsItsEnds) {
  LiveReport report(file_);
  for (int i = 0; i < 5000; ++i) report.Improved(i, 1.0 / (i + 1));
  report.Write(Running(), {});
  const auto curve = nlohmann::json::parse(ReadBytes(file_))["best_curve"];
  EXPECT_LE(curve.size(), 200u);
  EXPECT_GE(curve.size(), 100u);
  EXPECT_EQ(curve.front()[0], 0);
  EXPECT_EQ(curve.back()[0], 4999);
  for (std::size_t i = 1; i < curve.size(); ++i) EXPECT_LT(curve[i - 1][0], curve[i][0]);
}

TEST_F(LiveFileTest, WhatCannotBeWrittenIsNotWritten) {
  LiveReport nowhere(folder_ / "absent/live.json");
  nowhere.Write(Running(), {});
  LiveReport none("");
  EXPECT_FALSE(none.IsDue());
  none.Write(Running(), {});
}

}  // namespace
}  // namespace lcsc
