#include "lcsc/service/simulated_evaluator.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <numeric>

namespace lcsc {
namespace {

SimulationOptions Options(const std::string& distribution, double cv) {
  return {.checkpoints = 9, .distribution = distribution, .mean_seconds = 4, .cv = cv, .seed = 3};
}

struct Spread {
  double mean = 0, cv = 0, largest = 0;
};

Spread Measure(const SimulationOptions& options) {
  const SimulatedProblem problem(options);
  constexpr int kCount = 200'000;
  double sum = 0, squares = 0, largest = 0;
  for (std::int64_t id = 0; id < kCount; ++id) {
    const double seconds = problem.Duration(id);
    EXPECT_GT(seconds, 0);
    sum += seconds;
    squares += seconds * seconds;
    largest = std::max(largest, seconds);
  }
  const double mean = sum / kCount;
  return {mean, std::sqrt(squares / kCount - mean * mean) / mean, largest};
}

TEST(SimulatedProblemTest, DurationsHaveTheStatedMeanAndSpread) {
  for (const double cv : {0.1, 0.5, 1.0}) {
    const Spread spread = Measure(Options("lognormal", cv));
    EXPECT_NEAR(spread.mean, 4, 4 * 4 * cv / std::sqrt(200'000.0));
    EXPECT_NEAR(spread.cv, cv, 0.03 * cv);
  }
  // The fourth moment of a heavy tail is infinite, so its measured spread converges slowly.
  const Spread heavy = Measure(Options("pareto", 0.5));
  EXPECT_NEAR(heavy.mean, 4, 0.03);
  EXPECT_NEAR(heavy.cv, 0.5, 0.08);
  EXPECT_GT(heavy.largest, 2 * Measure(Options("lognormal", 0.5)).largest) << "no heavier than the lognormal";
}

TEST(SimulatedProblemTest, WithoutSpreadEveryDurationIsTheMean) {
  for (const char* distribution : {"constant", "lognormal", "pareto"}) {
    EXPECT_EQ(SimulatedProblem(Options(distribution, 0)).Duration(17), 4);
  }
  EXPECT_EQ(SimulatedProblem(Options("constant", 0.5)).Duration(17), 4);
  EXPECT_EQ(SimulatedProblem({.mean_seconds = 0, .cv = 0.5}).Duration(17), 0);
}

TEST(SimulatedProblemTest, TheOptimumAloneScoresZero) {
  const SimulatedProblem problem(Options("constant", 0));
  const Coefficients& optimum = problem.optimum();
  EXPECT_NEAR(std::accumulate(optimum.begin(), optimum.end(), 0.0), 1, 1e-14);
  EXPECT_EQ(problem.Score(optimum), 0);
  // One coefficient a sixth of a ripple away, with K = 9: 1 - cos(2 pi / 6) = 1/2.
  Coefficients away = optimum;
  away[4] += 1.0 / 18;
  EXPECT_NEAR(problem.Score(away), 1.0 / 324 + 0.1 / 9 * 0.5, 1e-13);
  EXPECT_NE(SimulatedProblem({.checkpoints = 9, .seed = 4}).optimum(), optimum);
}

TEST(SimulatedEvaluatorTest, SleepsAsLongAsItSays) {
  SimulatedEvaluator evaluator({.checkpoints = 3, .mean_seconds = 0.05, .cv = 0.3});
  for (std::int64_t id = 0; id < 3; ++id) {
    const auto start = std::chrono::steady_clock::now();
    const Outcome outcome = evaluator.Evaluate({.id = id, .coefficients = {0.5, 0.25, 0.25}});
    const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    EXPECT_TRUE(outcome.score.has_value());
    EXPECT_GE(elapsed, outcome.seconds.total());
    EXPECT_LT(elapsed, outcome.seconds.total() + 0.1);
  }
}

}  // namespace
}  // namespace lcsc
