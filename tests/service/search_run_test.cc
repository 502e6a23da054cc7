#include "lcsc/service/search_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "lcsc/base/error.h"
#include "lcsc/base/stop_signal.h"
#include "lcsc/search/evolution.h"
#include "service/formula_evaluator.h"

namespace lcsc {
namespace {

class SearchRunTest : public ::testing::Test {
 protected:
  SearchRunTest() : folder_(std::filesystem::path(::testing::TempDir()) / "search_run_test") {
    std::filesystem::remove_all(folder_);
    options_.epochs = 4;
    options_.children = 8;
  }
  ~SearchRunTest() override { SetStopRequested(false); }

  // Asks for a stop after so many evaluations; -1 is never.
  SearchSummary Run(const std::string& name, std::int64_t stop_after = -1) {
    struct Stopping : FormulaEvaluator {
      using FormulaEvaluator::FormulaEvaluator;
      std::int64_t left = -1;
      void Measure(EvaluationJob& job) override {
        if (--left == 0) SetStopRequested(true);
        FormulaEvaluator::Measure(job);
      }
    };
    LocalCollective group;
    Stopping evaluator(group);
    evaluator.left = stop_after;
    evaluator.failing_id = 5;
    LocalPool pool(evaluator, {});
    Evolution strategy(options_, {1, 2, 3, 4});
    RunDirectory directory = RunDirectory::Create(folder_ / name);
    const SearchSummary summary = RunSearch(strategy, pool, &directory, run_, {{"key", "value"}});
    SetStopRequested(false);
    return summary;
  }

  std::filesystem::path folder_;
  SearchOptions options_;
  RunOptions run_;
};

TEST_F(SearchRunTest, ResumedEqualsUninterruptedBitForBit) {
  const SearchSummary whole = Run("whole");
  EXPECT_FALSE(whole.interrupted);
  for (const std::int64_t stop_after : {1, 13, 20, 40}) {
    const std::string name = "part-" + std::to_string(stop_after);
    EXPECT_TRUE(Run(name, stop_after).interrupted);
    const SearchSummary resumed = Run(name);
    ASSERT_EQ(resumed.population.size(), whole.population.size());
    for (std::size_t i = 0; i < whole.population.size(); ++i) {
      EXPECT_EQ(resumed.population[i].candidate, whole.population[i].candidate);
      EXPECT_EQ(resumed.population[i].outcome.score, whole.population[i].outcome.score);
      EXPECT_EQ(resumed.population[i].outcome.failure, whole.population[i].outcome.failure);
    }
  }
}

TEST_F(SearchRunTest, AFinishedRunIsNotRepeated) {
  Run("done");
  std::ifstream before(folder_ / "done" / "metrics.jsonl");
  const auto lines = std::count(std::istreambuf_iterator<char>(before), {}, '\n');
  EXPECT_EQ(lines, 13 + 4 * 8);
  Run("done");
  std::ifstream after(folder_ / "done" / "metrics.jsonl");
  EXPECT_EQ(std::count(std::istreambuf_iterator<char>(after), {}, '\n'), lines);
}

TEST_F(SearchRunTest, TheSnapshotSaysWhatTheSummarySays) {
  const SearchSummary summary = Run("run");
  const auto snapshot = RunDirectory::OpenExisting(folder_ / "run").ReadSnapshot();
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_EQ(snapshot->state, RunState::kDone);
  EXPECT_EQ(snapshot->identity, (RunIdentity{{"key", "value"}}));
  EXPECT_EQ(snapshot->planned_evaluations, 13 + 4 * 8);
  ASSERT_EQ(snapshot->population.size(), summary.population.size());
  EXPECT_EQ(snapshot->population[5].outcome.failure, "asked to fail");
  EXPECT_FALSE(snapshot->population[5].outcome.score.has_value());
  EXPECT_EQ(BestOf(snapshot->population)->candidate, BestOf(summary.population)->candidate);
}

}  // namespace
}  // namespace lcsc
