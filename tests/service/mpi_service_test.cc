#include <gtest/gtest.h>

#include <algorithm>

#include "lcsc/search/evolution.h"
#include "lcsc/service/evaluation_service.h"
#include "mpi_world.h"
#include "service/formula_evaluator.h"

namespace lcsc {
namespace {

std::vector<Candidate> SomeCandidates(std::int64_t count) {
  std::vector<Candidate> candidates;
  for (std::int64_t i = 0; i < count; ++i) {
    candidates.push_back(
        {.id = 100 + i, .coefficients = {1.0 - 0.01 * static_cast<double>(i), 0.01 * static_cast<double>(i)}});
  }
  return candidates;
}

EvaluatorFactory Formula(useconds_t pause_us = 0) {
  return [=](Collective& group) { return std::make_unique<FormulaEvaluator>(group, pause_us); };
}

// Every size that divides the workers.
std::vector<std::int64_t> GroupSizes() {
  std::vector<std::int64_t> sizes;
  const std::int64_t workers = TestWorld().world_size - 1;
  for (std::int64_t size = 1; size <= workers; ++size) {
    if (workers % size == 0) sizes.push_back(size);
  }
  return sizes;
}

TEST(EvaluationServiceTest, EveryGroupSizeGivesEveryCandidateItsScore) {
  for (const std::int64_t group_size : GroupSizes()) {
    RunOptions run;
    run.group_size = group_size;
    bool task_ran = false;
    RunEvaluationService(TestWorld(), run, Formula(), [&](EvaluationPool& pool) {
      task_ran = true;
      EXPECT_EQ(pool.num_groups(), (TestWorld().world_size - 1) / group_size);
      const auto candidates = SomeCandidates(40);
      std::size_t shown = 0;
      const auto outcomes = EvaluateAll(pool, candidates, [&](std::size_t done) { shown = done; });
      EXPECT_EQ(shown, 40u);
      for (std::size_t i = 0; i < candidates.size(); ++i) {
        ASSERT_TRUE(outcomes[i].score.has_value());
        EXPECT_NEAR(*outcomes[i].score, FormulaScore(candidates[i].coefficients), 1e-12);
      }
    });
    EXPECT_EQ(task_ran, TestWorld().world_rank == 0);
  }
}

TEST(EvaluationServiceTest, ASearchOverGroupsEqualsTheSearchInOneProcess) {
  SearchOptions options;
  options.epochs = 6;
  options.children = 9;
  const std::vector<std::int64_t> steps = {10, 20, 30, 40, 50};
  Evolution serial(options, steps);
  while (const auto candidate = serial.Ask()) {
    serial.Tell(candidate->id, {.score = FormulaScore(candidate->coefficients), .failure = "", .seconds = {}});
  }
  for (const std::int64_t group_size : GroupSizes()) {
    RunOptions run;
    run.group_size = group_size;
    RunEvaluationService(TestWorld(), run, Formula(200), [&](EvaluationPool& pool) {
      Evolution parallel(options, steps);
      while (!parallel.Finished()) {
        while (pool.HasRoom()) {
          const auto candidate = parallel.Ask();
          if (!candidate) break;
          pool.Submit(*candidate);
        }
        if (const auto result = pool.Wait(5)) parallel.Tell(result->candidate_id, result->outcome);
      }
      const auto left = serial.Population(), right = parallel.Population();
      ASSERT_EQ(left.size(), right.size());
      for (std::size_t i = 0; i < left.size(); ++i) {
        EXPECT_EQ(left[i].candidate, right[i].candidate);
        EXPECT_NEAR(*left[i].outcome.score, *right[i].outcome.score, 1e-6 * *left[i].outcome.score);
      }
    });
  }
}

TEST(EvaluationServiceTest, AnErrorInOneRanksSetUpIsThrownByAll) {
  RunOptions run;
  const auto broken = [](Collective&) -> std::unique_ptr<Evaluator> {
    if (TestWorld().world_rank == TestWorld().world_size - 1) throw InputError("no shard here");
    return nullptr;
  };
  EXPECT_THROW(RunEvaluationService(TestWorld(), run, broken, [](EvaluationPool&) { FAIL(); }), SetUpError);
}

TEST(EvaluationServiceTest, AGroupSizeThatDoesNotDivideIsRefusedByAll) {
  RunOptions run;
  run.group_size = TestWorld().world_size;
  EXPECT_THROW(RunEvaluationService(TestWorld(), run, Formula(), [](EvaluationPool&) { FAIL(); }), SetUpError);
}

TEST(EvaluationServiceTest, WaitingCandidatesAreNotBegunAfterTheTaskEnds) {
  RunOptions run;
  run.queue_depth = 50;
  RunEvaluationService(TestWorld(), run, Formula(2000), [&](EvaluationPool& pool) {
    for (const Candidate& candidate : SomeCandidates(50)) pool.Submit(candidate);
    EXPECT_TRUE(pool.Wait(5).has_value());
  });
}

TEST(EvaluationServiceTest, GroupsAreBusyMostOfTheTime) {
  RunOptions run;
  RunEvaluationService(TestWorld(), run, Formula(5000), [&](EvaluationPool& pool) {
    EvaluateAll(pool, SomeCandidates(pool.num_groups() * 20), [](std::size_t) {});
    EXPECT_GT(pool.Utilisation(), 0.5);
    EXPECT_LE(pool.Utilisation(), 1.0);
  });
}

}  // namespace
}  // namespace lcsc
