#include "lcsc/service/model_pool.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "lcsc/base/error.h"
#include "lcsc/search/evolution.h"
#include "lcsc/service/replay_pool.h"
#include "lcsc/service/search_run.h"

namespace lcsc {
namespace {

constexpr double kMean = 2;

struct Case {
  ModelPool::Options pool;
  SimulationOptions simulation = {.checkpoints = 5, .mean_seconds = kMean};
  SearchOptions search = {.epochs = 10, .children = 12, .ema_rates = {0, 0.5, 0.9, 0.99}};
};

struct Modelled {
  double seconds, efficiency, master_share;
  std::vector<EvaluatedCandidate> population;
};

Modelled Model(const Case& setting) {
  const SimulatedProblem problem(setting.simulation);
  ModelPool pool(setting.pool, problem);
  Evolution strategy(setting.search, problem.Steps());
  const SearchSummary summary = RunSearch(strategy, pool, nullptr, {}, {});
  EXPECT_FALSE(summary.interrupted);
  return {pool.seconds(), pool.Utilisation(), pool.MasterShare(), summary.population};
}

// 4 initial candidates, then 10 generations of 12.
TEST(ModelPoolTest, EqualDurationsFillWholeRounds) {
  const struct {
    int workers;
    double rounds;
  } cases[] = {{1, 4 + 120}, {4, 1 + 10 * 3}, {5, 1 + 10 * 3}, {12, 1 + 10}, {1000, 1 + 10}};
  for (const auto& [workers, rounds] : cases) {
    const Modelled model = Model({.pool = {.num_groups = workers}});
    EXPECT_NEAR(model.seconds, rounds * kMean, 1e-9) << workers;
    EXPECT_NEAR(model.efficiency, 124 / (rounds * workers), 1e-12) << workers;
    EXPECT_EQ(model.master_share, 0);
  }
}

TEST(ModelPoolTest, AGenerationAsWideAsTheWorkersLastsAsLongAsItsSlowest) {
  Case setting{.pool = {.num_groups = 12, .queue_depth = 1}};
  setting.simulation.cv = 0.5;
  const SimulatedProblem problem(setting.simulation);
  double expected = 0;
  for (std::int64_t first = 0, end = 4; first < 124; first = end, end += 12) {
    double slowest = 0;
    for (std::int64_t id = first; id < end; ++id) slowest = std::max(slowest, problem.Duration(id));
    expected += slowest;
  }
  EXPECT_NEAR(Model(setting).seconds, expected, 1e-9);
}

TEST(ModelPoolTest, OneWorkerWithoutAQueueWaitsForMessagesAndMaster) {
  Case setting{.pool = {.num_groups = 1, .queue_depth = 1, .latency_seconds = 0.25, .master_seconds = 0.125}};
  const Modelled model = Model(setting);
  EXPECT_NEAR(model.seconds, 124 * (kMean + 2 * 0.25 + 0.125), 1e-9);
  EXPECT_NEAR(model.master_share, 124 * 0.125 / model.seconds, 1e-12);
  // With a queue only the first candidates' way there and the last outcome's way back are left of it.
  setting.search.schedule = "steady-state";
  setting.pool.queue_depth = 2;
  EXPECT_NEAR(Model(setting).seconds, 124 * kMean + 2 * 0.25 + 0.125, 1e-9);
}

TEST(ModelPoolTest, TheMastersWorkBoundsTheRate) {
  Case setting{.pool = {.num_groups = 500, .master_seconds = 0.1}};
  setting.search.children = 1000;
  setting.search.schedule = "steady-state";
  const Modelled model = Model(setting);
  EXPECT_NEAR(model.seconds, 10004 * 0.1, 0.01 * 10004 * 0.1);
  EXPECT_GT(model.master_share, 0.99);
  EXPECT_NEAR(model.efficiency, kMean / 0.1 / 500, 0.01);
}

TEST(ModelPoolTest, WithoutABarrierSpreadCostsOnlyTheEnd) {
  Case setting{.pool = {.num_groups = 12}};
  setting.simulation.cv = 0.5;
  setting.search.epochs = 100;
  const double generational = Model(setting).efficiency;
  setting.search.schedule = "steady-state";
  const double steady = Model(setting).efficiency;
  EXPECT_LT(generational, 0.65);
  EXPECT_GT(steady, 0.97);
}

TEST(ModelPoolTest, WorkersDoNotChangeAGenerationalSearch) {
  const std::string alone = PopulationDigest(Model({.pool = {.num_groups = 1}}).population);
  Case setting{.pool = {.num_groups = 64, .latency_seconds = 0.01}};
  setting.simulation.cv = 1;
  EXPECT_EQ(PopulationDigest(Model(setting).population), alone);
}

class ReplayPoolTest : public ::testing::Test {
 protected:
  ReplayPoolTest() {
    setting_.search.schedule = "steady-state";
    setting_.simulation.cv = 0.8;
    recorded_ = Model(setting_).population;
  }

  std::string Replay(EvaluationPool& behind) {
    ReplayPool pool(behind, recorded_);
    Evolution strategy(setting_.search, SimulatedProblem(setting_.simulation).Steps());
    return PopulationDigest(RunSearch(strategy, pool, nullptr, {}, {}).population);
  }

  Case setting_{.pool = {.num_groups = 16}};
  std::vector<EvaluatedCandidate> recorded_;
};

TEST_F(ReplayPoolTest, AnyPoolGivesTheRecordedSearchBitForBit) {
  const std::string expected = PopulationDigest(recorded_);
  const SimulatedProblem problem(setting_.simulation);
  for (const int workers : {1, 3, 16, 50}) {
    Case other = setting_;
    other.pool.num_groups = workers;
    if (workers != 16) {
      EXPECT_NE(PopulationDigest(Model(other).population), expected) << "nothing to replay";
    }
    ModelPool pool(other.pool, problem);
    EXPECT_EQ(Replay(pool), expected) << workers;
  }
  SimulationOptions instant = setting_.simulation;
  instant.mean_seconds = 0;
  SimulatedEvaluator evaluator(instant);
  LocalPool pool(evaluator, {});
  EXPECT_EQ(Replay(pool), expected);
}

TEST_F(ReplayPoolTest, ARecordWithoutAnOrderIsRefused) {
  const SimulatedProblem problem(setting_.simulation);
  ModelPool pool(setting_.pool, problem);
  const auto refused = [&](std::vector<EvaluatedCandidate> record) {
    EXPECT_THROW(ReplayPool(pool, record), InputError);
  };
  refused(Model({.pool = {.num_groups = 2}}).population);
  auto record = recorded_;
  record[3].order = record[4].order;
  refused(record);
  record = recorded_;
  record.erase(record.begin() + 5);
  refused(record);
}

}  // namespace
}  // namespace lcsc
