// Simulated searches, run as a user runs them: the layout of ranks does not change the result, a stopped one goes on,
// a recorded one replays, and the model says how long a real one takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/run_command.h"

namespace lcsc {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class SimulateTest : public ::testing::Test {
 protected:
  static Arguments Simulate(const Arguments& more, const std::string& epochs = "12") {
    return Arguments{"simulate", "--json", "--checkpoints", "40", "--set", "search.epochs=" + epochs} + more;
  }
  static Arguments SteadyState(const Arguments& more = {}) {
    return Simulate(Arguments{"--set", "search.schedule=steady-state"} + more);
  }
  static Json ResultOf(const Arguments& command) {
    const CommandResult result = RunCommand(command);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }
  static void ExpectRefused(const Arguments& command, const std::vector<std::string>& words) {
    const CommandResult result = RunCommand(Lcsc(command));
    EXPECT_EQ(result.exit_code, 2) << result.out;
    for (const std::string& word : words) EXPECT_THAT(result.err, HasSubstr(word));
  }
  std::string Path(const std::string& name) const { return folder_ / name; }

  TempFolder folder_;
};

TEST_F(SimulateTest, EveryLayoutFindsTheSame) {
  const Json alone = ResultOf(Lcsc(Simulate({})));
  EXPECT_EQ(alone["evaluations"], 13 + 12 * 20);
  EXPECT_EQ(alone["messages"], 0);
  const Json ranks = ResultOf(MpiLcsc(9, Simulate({"--mean-seconds", "0.01", "--cv", "1", "--run", Path("ranks")})));
  EXPECT_EQ(ranks["groups"], 8);
  EXPECT_EQ(ranks["messages"], 2 * (13 + 12 * 20));
  EXPECT_EQ(ranks["population_digest"], alone["population_digest"]);
  EXPECT_EQ(ranks["best_score"], alone["best_score"]);
  const Json pairs = ResultOf(MpiLcsc(5, Simulate({"--set", "run.group_size=2"})));
  EXPECT_EQ(pairs["groups"], 2);
  EXPECT_EQ(pairs["population_digest"], alone["population_digest"]);
  EXPECT_NE(ResultOf(Lcsc(Simulate({"--simulation-seed", "2"})))["population_digest"], alone["population_digest"]);
  EXPECT_EQ(ResultOf(Lcsc({"status", Path("ranks"), "--json"}))["best_score"], alone["best_score"]);
}

TEST_F(SimulateTest, AStoppedSteadyStateSearchGoesOnAndReplaysOnOtherRanks) {
  const Arguments command = SteadyState({"--mean-seconds", "0.02", "--cv", "0.5", "--run", Path("run")});
  RunningCommand running(Lcsc(command));
  ASSERT_TRUE(running.WaitUntil([&] { return ReadBytes(Path("run") + "/metrics.jsonl").size() > 4000; }));
  running.Signal(SIGTERM);
  EXPECT_EQ(running.Wait().exit_code, 3);
  ExpectRefused(Simulate({"--replay", Path("run")}), {"finished run of 253 evaluations"});
  const Json resumed = ResultOf(MpiLcsc(5, command));
  EXPECT_EQ(resumed["evaluations"], 253);
  EXPECT_LT(resumed["session_evaluations"], 253);

  const Arguments replay = Simulate({"--replay", Path("run")});
  for (const Json& again : {ResultOf(Lcsc(replay)), ResultOf(MpiLcsc(3, replay))}) {
    EXPECT_EQ(again["population_digest"], resumed["population_digest"]);
    EXPECT_EQ(again["schedule"], "steady-state");
  }
  const Json candidates = ResultOf(Lcsc({"status", Path("run"), "--candidates", "--json"}))["candidates"];
  ASSERT_EQ(candidates.size(), 253u);
  EXPECT_GT(candidates[100]["seen"], 80);
  EXPECT_TRUE(candidates[100].contains("order"));
}

TEST_F(SimulateTest, WhatDoesNotBelongToTheRunIsRefused) {
  ResultOf(Lcsc(Simulate({"--run", Path("run")})));
  ExpectRefused(Simulate({"--run", Path("run"), "--set", "search.schedule=steady-state"}), {"search.schedule"});
  ExpectRefused(Simulate({"--run", Path("run"), "--simulation-seed", "2"}), {"simulate.simulation_seed", "'1'", "'2'"});
  ExpectRefused(Simulate({"--replay", Path("run")}), {"search.schedule"});
  ExpectRefused(Simulate({"--replay", Path("absent")}), {"absent"});
  ExpectRefused(Simulate({"--replay", Path("run"), "--run", Path("other")}), {"--run"});
  ExpectRefused(Simulate({"--model"}), {"--workers"});
  ExpectRefused(Simulate({"--workers", "8"}), {"--model"});
  ExpectRefused(Simulate({"--set", "search.racing=best"}), {"simulations expect evolution without racing"});
  ExpectRefused(Simulate({"--cv", "-1"}), {"cv", "-1"});
}

// Other work on the cores makes a real run slower, never faster: the best of a few is what the model describes.
TEST_F(SimulateTest, TheModelSaysHowLongARealRunTakes) {
  const Arguments options = {"--mean-seconds", "0.02", "--cv", "0.3", "--set", "search.children=30"};
  const Json rows = ResultOf(Lcsc(Simulate(options + Arguments{"--model", "--workers", "8"})));
  ASSERT_EQ(rows.size(), 2u);
  for (const Json& row : rows) {
    const std::string schedule = row["schedule"];
    const double expected = row["seconds"];
    double closest = 0;
    for (int attempt = 0; attempt < 5 && std::abs(closest - expected) > 0.1 * expected; ++attempt) {
      const Json real = ResultOf(MpiLcsc(9, Simulate(options + Arguments{"--set", "search.schedule=" + schedule})));
      const double seconds = real["seconds"];
      if (std::abs(seconds - expected) < std::abs(closest - expected)) closest = seconds;
      EXPECT_LE(real["efficiency"], 1.02 * row["efficiency"].get<double>()) << schedule;
    }
    std::printf("%s: modelled %.3f s, measured %.3f s\n", schedule.c_str(), expected, closest);
    EXPECT_NEAR(closest, expected, 0.1 * expected) << schedule;
  }
}

TEST_F(SimulateTest, AMasterWithoutWorkSleeps) {
  const Json real = ResultOf(MpiLcsc(
      5, Simulate({"--mean-seconds", "0.5", "--set", "search.ema_rates=0,0.9", "--set", "search.children=18"}, "1")));
  const double share = real["master_cpu_share"];
  std::printf("idle master: %.2f %% of a core\n", 100 * share);
  EXPECT_GT(real["seconds"], 2.9);
  EXPECT_LT(share, 0.05) << "it polls too often; on a quiet machine it is below 0.01";
}

}  // namespace
}  // namespace lcsc
