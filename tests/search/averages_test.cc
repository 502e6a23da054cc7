#include "lcsc/search/averages.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace lcsc {
namespace {

double Sum(const Coefficients& a) { return std::accumulate(a.begin(), a.end(), 0.0); }

// The pairs that Karras et al. 2024 state below eq. 3.
TEST(AveragesTest, GammasAreThoseOfThePaper) {
  EXPECT_NEAR(PowerFunctionGamma(0.05), 16.97, 0.005);
  EXPECT_NEAR(PowerFunctionGamma(0.10), 6.94, 0.005);
  EXPECT_NEAR(PowerFunctionGamma(kLargestSigmaRel), 0, 1e-12);
}

// p is the density of a Beta(gamma + 1, 1) on [0, t].
TEST(AveragesTest, TheProfilesStandardDeviationIsSigmaRel) {
  for (const double sigma_rel : {0.01, 0.08, 0.25}) {
    const double a = PowerFunctionGamma(sigma_rel) + 1;
    EXPECT_NEAR(std::sqrt(a / ((a + 1) * (a + 1) * (a + 2))), sigma_rel, 1e-12);
  }
}

// gamma = 0 averages the whole training: each checkpoint by the time that it stands for.
TEST(AveragesTest, TheWidestPowerEmaWeighsByIntervals) {
  const Coefficients a = PowerEmaCoefficients(kLargestSigmaRel, std::vector<std::int64_t>{10, 20, 50, 100});
  const std::vector<double> expected = {0.1, 0.1, 0.3, 0.5};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(a[i], expected[i], 1e-12);
}

// The projection onto the boxes, by numerical integration of p: no other combination of boxes is nearer.
TEST(AveragesTest, PowerEmaIsTheLeastSquaresSolution) {
  const std::vector<std::int64_t> steps = {7, 30, 45, 100};
  const double gamma = PowerFunctionGamma(0.15);
  const Coefficients a = PowerEmaCoefficients(0.15, steps);
  EXPECT_NEAR(Sum(a), 1, 1e-15);
  const auto error_of = [&](const Coefficients& coefficients) {
    constexpr int kPoints = 100'000;
    double error = 0;
    std::size_t box = 0;
    for (int i = 0; i < kPoints; ++i) {
      const double tau = 100 * (i + 0.5) / kPoints;
      while (tau > static_cast<double>(steps[box])) ++box;
      const double begin = box == 0 ? 0 : static_cast<double>(steps[box - 1]);
      const double height = coefficients[box] / (static_cast<double>(steps[box]) - begin);
      error += std::pow((gamma + 1) * std::pow(tau / 100, gamma) / 100 - height, 2);
    }
    return error;
  };
  const double least = error_of(a);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (const double change : {-1e-3, 1e-3}) {
      Coefficients other = a;
      other[i] += change;
      EXPECT_GT(error_of(other), least) << i;
    }
  }
}

TEST(AveragesTest, AStepZeroStandsForNoTraining) {
  EXPECT_EQ(PowerEmaCoefficients(0.1, std::vector<std::int64_t>{0, 5, 10})[0], 0);
}

TEST(AveragesTest, UniformTakesTheLast) {
  EXPECT_EQ(UniformCoefficients({2, 4}), (Coefficients{0, 0, 0.5, 0.5}));
  EXPECT_EQ(UniformCounts(2), (std::vector<std::size_t>{2}));
  EXPECT_EQ(UniformCounts(8), (std::vector<std::size_t>{2, 4, 8}));
  EXPECT_EQ(UniformCounts(9), (std::vector<std::size_t>{2, 4, 8, 9}));
}

TEST(AveragesTest, EveryNthEndsWithTheLast) {
  EXPECT_EQ(CheckpointsOf({3, 8}), (std::vector<std::size_t>{1, 4, 7}));
  EXPECT_EQ(CheckpointsOf({1, 3}), (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_EQ(CheckpointsOf({9, 3}), (std::vector<std::size_t>{2}));
}

}  // namespace
}  // namespace lcsc
