#include "lcsc/search/coefficients.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace lcsc {
namespace {

double Sum(const Coefficients& a) { return std::accumulate(a.begin(), a.end(), 0.0); }

TEST(CoefficientsTest, EmaOfEqualIntervalsFollowsThePapersFormula) {
  const std::vector<std::int64_t> steps = {100, 150, 200, 250};
  const double rate = 0.99, per_checkpoint = std::pow(rate, 50);
  const Coefficients a = EmaCoefficients(rate, steps);
  for (int i = 2; i <= 4; ++i) {
    EXPECT_NEAR(a[static_cast<std::size_t>(i - 1)], (1 - per_checkpoint) * std::pow(per_checkpoint, 4 - i), 1e-15);
  }
  EXPECT_NEAR(a[0], std::pow(per_checkpoint, 3), 1e-15);
  EXPECT_NEAR(Sum(a), 1, 1e-15);
}

// An EMA that is updated at every iteration, with the weights frozen between two checkpoints.
TEST(CoefficientsTest, EmaOfUnequalIntervalsEqualsTheRecursion) {
  const std::vector<std::int64_t> steps = {3, 5, 6, 10};
  const std::vector<double> weights = {2.0, -1.0, 0.5, 7.0};
  const double rate = 0.8;
  double ema = weights[0];
  for (std::size_t i = 1; i < steps.size(); ++i) {
    for (std::int64_t n = steps[i - 1]; n < steps[i]; ++n) ema = rate * ema + (1 - rate) * weights[i];
  }
  const Coefficients a = EmaCoefficients(rate, steps);
  EXPECT_NEAR(std::inner_product(a.begin(), a.end(), weights.begin(), 0.0), ema, 1e-13);
}

TEST(CoefficientsTest, RateZeroIsTheLastCheckpoint) {
  const std::vector<std::int64_t> steps = {1, 2, 3};
  EXPECT_EQ(EmaCoefficients(0, steps), (Coefficients{0, 0, 1}));
}

TEST(CoefficientsTest, CompletingTheFirstMakesTheSumOne) {
  Coefficients a = {9, 0.25, -3, 0.5};
  CompleteFirst(a);
  EXPECT_DOUBLE_EQ(a[0], 3.25);
}

TEST(CoefficientsTest, DefaultRatesSpanTheWindow) {
  std::vector<std::int64_t> steps(400);
  std::iota(steps.begin(), steps.end(), 0);
  for (auto& step : steps) step *= 100;
  const std::vector<double> rates = DefaultEmaRates(steps);
  ASSERT_EQ(rates.size(), 13u);
  EXPECT_EQ(rates.front(), 0);
  EXPECT_NEAR(-1 / std::log(rates[1]), 39900.0 / 32, 1e-6);
  EXPECT_NEAR(-1 / std::log(rates.back()), 39900.0 * 4, 1e-3);
  EXPECT_TRUE(std::is_sorted(rates.begin(), rates.end()));
}

TEST(CoefficientsTest, AreRestrictedAsInThePaper) {
  const Coefficients wild = {-0.5, 1.5, -1, 1};
  Coefficients convex = wild, clipped = wild, free = wild;
  Restrict(convex, RestrictionOf("convex"));
  EXPECT_EQ(convex, (Coefficients{0, 0.6, 0, 0.4}));
  Restrict(clipped, RestrictionOf("clip"));
  EXPECT_EQ(clipped, (Coefficients{0, 1, -1, 1}));
  Restrict(free, RestrictionOf("none"));
  EXPECT_EQ(free, wild);
}

}  // namespace
}  // namespace lcsc
