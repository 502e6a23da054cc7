// The real pool, messages and strategy with simulated candidates, on many more ranks than there are cores.
#include <gtest/gtest.h>

#include "lcsc/search/evolution.h"
#include "lcsc/service/evaluation_pool.h"
#include "lcsc/service/replay_pool.h"
#include "lcsc/service/simulated_evaluator.h"
#include "mpi_world.h"

namespace lcsc {
namespace {

class ManyRanksTest : public ::testing::Test {
 protected:
  // On the master: the search over all other ranks. Elsewhere: nothing.
  std::vector<EvaluatedCandidate> OverAllRanks() const {
    const GroupLayout layout = PlanGroups(TestWorld(), 1);
    const auto group = JoinGroup(TestWorld(), layout);
    if (group) {
      SimulatedEvaluator evaluator(simulation_);
      ServeGroup(*group, evaluator, {});
      return {};
    }
    GroupPool pool({.layout = layout, .queue_depth = 2});
    auto population = Search(pool);
    EXPECT_EQ(pool.num_messages(), 2 * static_cast<std::int64_t>(population.size()));
    EXPECT_TRUE(pool.Close(60));
    return population;
  }

  std::vector<EvaluatedCandidate> Search(EvaluationPool& pool) const {
    Evolution strategy(search_, SimulatedProblem(simulation_).Steps());
    while (!strategy.Finished()) {
      while (pool.HasRoom()) {
        const auto candidate = strategy.Ask();
        if (!candidate) break;
        pool.Submit(*candidate);
      }
      if (const auto result = pool.Wait(5)) strategy.Tell(result->candidate_id, result->outcome);
    }
    return strategy.Population();
  }

  // What one process finds without waiting, in the order of `recorded` when it has one.
  std::string AloneDigest(const std::vector<EvaluatedCandidate>& recorded) const {
    SimulationOptions instant = simulation_;
    instant.mean_seconds = 0;
    SimulatedEvaluator evaluator(instant);
    LocalPool pool(evaluator, {});
    if (!recorded[0].order) return PopulationDigest(Search(pool));
    ReplayPool replay(pool, recorded);
    return PopulationDigest(Search(replay));
  }

  void ExpectTheResultOfOneProcess() const {
    const auto population = OverAllRanks();
    if (TestWorld().world_rank != 0) return;
    ASSERT_EQ(population.size(), 13u + 5 * 100);
    EXPECT_EQ(PopulationDigest(population), AloneDigest(population));
    EXPECT_LT(*BestOf(population)->outcome.score, *BestOf(population, /*only_ema=*/true)->outcome.score);
  }

  SimulationOptions simulation_{.checkpoints = 60, .mean_seconds = 0.05, .cv = 0.5};
  SearchOptions search_{.epochs = 5, .children = 100, .ema_rates = {}};
};

TEST_F(ManyRanksTest, AGenerationalSearchEqualsThatOfOneProcess) { ExpectTheResultOfOneProcess(); }

TEST_F(ManyRanksTest, ASteadyStateSearchReplaysInOneProcess) {
  search_.schedule = "steady-state";
  ExpectTheResultOfOneProcess();
}

}  // namespace
}  // namespace lcsc
