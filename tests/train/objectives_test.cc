#include "lcsc/train/objectives.h"

#include <gtest/gtest.h>

#include <cmath>

#include "train/linear_denoiser.h"

namespace lcsc {
namespace {

constexpr double kTolerance = 1e-5;

// One image of 2 x 2 pixels at noise level exp(p_mean), with |e| = 2.
TrainingBatch BatchOf(double pixel) {
  return {.pixels = {},
          .images = at::full({1, 1, 2, 2}, pixel),
          .classes = at::full({1}, 3, at::kLong),
          .level_normals = at::zeros({1}),
          .noise = at::ones({1, 1, 2, 2}),
          .dropout_seed = 5};
}

double Value(const at::Tensor& scalar) { return scalar.item<double>(); }

TEST(NoiseLevels, AreLogNormal) {
  const at::Tensor sigmas = SigmasOf({.p_mean = -1.2, .p_std = 1.5}, at::tensor({0.0f, 1.0f, -2.0f}));
  EXPECT_NEAR(Value(sigmas[0]), std::exp(-1.2), kTolerance);
  EXPECT_NEAR(Value(sigmas[1]), std::exp(0.3), kTolerance);
  EXPECT_NEAR(Value(sigmas[2]), std::exp(-4.2), kTolerance);
}

TEST(DiffusionWeight, IsThatOfTheEdmPaper) {
  const at::Tensor weight = DiffusionWeight({.sigma_data = 0.5}, at::tensor({0.5f, 2.0f}));
  EXPECT_NEAR(Value(weight[0]), 8.0, kTolerance);   // (1/4 + 1/4) / (1/4)^2
  EXPECT_NEAR(Value(weight[1]), 4.25, kTolerance);  // (4 + 1/4) / 1
}

TEST(DiffusionLoss, IsTheWeightedSquaredError) {
  LinearDenoiser network(0.5);
  // sigma = 2: D = (y + 2 e) / 2 = 1.5, y = 1, so the error is 1/2 and the weight 4.25.
  const DiffusionObjective objective = {.levels = {.p_mean = std::log(2.0), .p_std = 1}, .sigma_data = 0.5};
  EXPECT_NEAR(Value(DiffusionLoss(network, objective, BatchOf(1))), 4.25 * 0.25, kTolerance);
}

TEST(EarlierLevel, FollowsTheMapping) {
  const ConsistencyObjective objective = {.q = 2, .d = 10, .k = 8, .b = 1};
  const at::Tensor t = at::tensor({1.0f});
  const double n = 1 + 8 / (1 + std::exp(1.0));
  EXPECT_NEAR(Value(EarlierLevel(objective, 21, t)), 1 - n / 8, kTolerance);
  EXPECT_NEAR(Value(EarlierLevel(objective, 30, t)), 1 - n / 8, kTolerance);
  EXPECT_NEAR(Value(EarlierLevel(objective, 31, t)), 1 - n / 16, kTolerance);
}

TEST(EarlierLevel, IsNeverNegative) {
  const ConsistencyObjective objective = {.q = 2, .d = 10, .k = 8, .b = 1};
  EXPECT_EQ(Value(EarlierLevel(objective, 0, at::tensor({50.0f}))), 0);
  EXPECT_EQ(Value(EarlierLevel(objective, 10, at::tensor({0.1f}))), 0);  // n > 2
}

TEST(EarlierLevel, SkipsTheDiffusionStageAfterTheFirstIteration) {
  const ConsistencyObjective objective = {.q = 4, .d = 1000};
  EXPECT_NEAR(Value(EarlierLevel(objective, 1, at::tensor({40.0f}))), 40 * 0.75, 1e-3);
}

// For x_0 = 0 and f(x, t) = s x: x_t - x_r = (t - r) e, so that |D| / (t - r) is s |e|.
TEST(ConsistencyLoss, IsTheDistanceOverTheGap) {
  LinearDenoiser network(0.5);
  const ConsistencyObjective objective = {.levels = {.p_mean = 1.0}, .q = 2, .d = 10, .c = 1e-6};
  EXPECT_NEAR(Value(ConsistencyLoss(network, objective, 40, BatchOf(0))), 0.5 * 2, kTolerance);
}

TEST(ConsistencyLoss, IsPseudoHuberInTheDifference) {
  LinearDenoiser network(0.5);
  const ConsistencyObjective objective = {.levels = {.p_mean = 1.0}, .q = 2, .d = 10, .c = 3};
  const double t = std::exp(1.0), gap = t * (1 + 8 / (1 + std::exp(t))) / 16;
  const double expected = (std::sqrt(gap * gap + 9) - 3) / gap;  // |D| = s gap |e| = gap
  EXPECT_NEAR(Value(ConsistencyLoss(network, objective, 40, BatchOf(0))), expected, kTolerance);
}

TEST(ConsistencyLoss, HasAGradientThroughTheStudentOnly) {
  LinearDenoiser network(0.5);
  const ConsistencyObjective objective = {.levels = {.p_mean = 1.0}, .q = 2, .d = 10, .c = 1e-6};
  ConsistencyLoss(network, objective, 40, BatchOf(0)).backward();
  // With a gradient through f(x_r, r) too it were |e|.
  const double t = std::exp(1.0), n = 1 + 8 / (1 + std::exp(t));
  EXPECT_NEAR(Value(network.scale().grad()), 2 * 16 / n, 1e-3);
}

TEST(ConsistencyLoss, ComparesWithTheImageItselfWhenTheEarlierLevelIsZero) {
  LinearDenoiser network(0.5);
  const ConsistencyObjective objective = {.levels = {.p_mean = 0}, .c = 1e-6};
  // t = 1: f(x_t) = (2 + 1) / 2 = 1.5 and x_0 = 2 in each of 4 pixels.
  EXPECT_NEAR(Value(ConsistencyLoss(network, objective, 0, BatchOf(2))), 1.0, kTolerance);
}

TEST(ConsistencyLoss, GivesBothEvaluationsTheSameDropoutMask) {
  LinearDenoiser network(0.5);
  ConsistencyLoss(network, {.d = 10}, 40, BatchOf(1));
  ASSERT_EQ(network.random_numbers.size(), 2u);
  EXPECT_TRUE(network.random_numbers[0].equal(network.random_numbers[1]));
  EXPECT_FALSE(network.sigmas[0].equal(network.sigmas[1]));
}

TEST(Objectives, GiveOneHotLabelsToAConditionalNetwork) {
  LinearDenoiser network(0.5);
  network.num_labels = 5;
  DiffusionLoss(network, {}, BatchOf(1));
  EXPECT_TRUE(network.given_labels[0].equal(at::tensor({0.f, 0.f, 0.f, 1.f, 0.f}).view({1, 5})));
}

}  // namespace
}  // namespace lcsc
