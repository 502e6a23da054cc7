#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lcsc/base/error.h"
#include "lcsc/sample/sampler.h"
#include "sample/gaussian_denoiser.h"

namespace lcsc {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using Method = DpmSolverOptions::Method;
using Prediction = DpmSolverOptions::Prediction;

SamplerOptions Solver(DpmSolverOptions dpm, int steps, SkipType skip = SkipType::kLogSnr) {
  return {.kind = SamplerKind::kDpmSolver,
          .sigma_min = 0.02,
          .sigma_max = 10,
          .steps = steps,
          .skip = skip,
          .dpm_solver = dpm};
}

// The noise levels at which a solver calls the network.
std::vector<double> LevelsOf(const SamplerOptions& options, const NoiseSchedule& schedule = NoiseSchedule::Edm()) {
  GaussianDenoiser network(schedule);
  Sample(network, options, NoiseOf(1), {});
  return network.levels;
}

double ErrorOf(const SamplerOptions& options) {
  GaussianDenoiser network;
  const at::Tensor exact =
      ExactSolution(NoiseOf(50)(0) * options.sigma_max, {.from = options.sigma_max, .to = options.sigma_min});
  return MaxDifference(Sample(network, options, NoiseOf(50), {}), exact);
}

struct Form {
  Prediction prediction;
  Method method;
  int order;
};

std::string NameOf(const Form& form) {
  return std::string(form.prediction == Prediction::kData ? "DpmSolverPlusPlus" : "DpmSolver") +
         (form.method == Method::kMultistep ? "Multistep" : "Singlestep") + std::to_string(form.order);
}

std::vector<Form> AllForms() {
  std::vector<Form> forms;
  for (const Prediction prediction : {Prediction::kNoise, Prediction::kData}) {
    for (const Method method : {Method::kSinglestep, Method::kMultistep}) {
      for (const int order : {1, 2, 3}) forms.push_back({prediction, method, order});
    }
  }
  return forms;
}

class DpmSolver : public testing::TestWithParam<Form> {
 protected:
  DpmSolverOptions Options() const {
    const auto [prediction, method, order] = GetParam();
    return {.prediction = prediction, .method = method, .order = order};
  }
};

TEST_P(DpmSolver, ConvergesToTheExactSolutionByItsOrder) {
  const int order = GetParam().order;
  // 71 = 23 * 3 + 2 calls: the singlestep solver's last step is then of second order, which does not show.
  const double coarse = ErrorOf(Solver(Options(), 71)), fine = ErrorOf(Solver(Options(), 143));
  if (GetParam().method == Method::kMultistep && order == 3) {
    // As published it takes half of the second derivative's share: of second order, but with a smaller error.
    EXPECT_NEAR(std::log2(coarse / fine), 2, 0.15);
    DpmSolverOptions second = Options();
    second.order = 2;
    EXPECT_LT(fine, 0.5 * ErrorOf(Solver(second, 143)));
    return;
  }
  EXPECT_GT(std::log2(coarse / fine), order - 0.05);
  EXPECT_LT(coarse, order == 1 ? 0.02 : order == 2 ? 2e-3 : 5e-5);
}

TEST_P(DpmSolver, ReachesTheExactSolutionOfADiscreteProcess) {
  const auto schedule = NoiseSchedule::Discrete(LinearBetas(200, 1e-3, 0.05));
  const double last = 1.0 / 200;
  for (const SkipType skip : {SkipType::kTimeUniform, SkipType::kLogSnr, SkipType::kTimeQuadratic}) {
    GaussianDenoiser network(schedule);
    // x_t counts as standard normal at the first time; images are x_t, not x_t / alpha_t, at the last.
    const at::Tensor start = NoiseOf(50)(0) * std::exp(-schedule.LogAlpha(1));
    const at::Tensor exact =
        ExactSolution(start, {.from = schedule.NoiseLevel(1), .to = schedule.NoiseLevel(last)}) * std::sqrt(1 - 1e-3);
    const at::Tensor images = Sample(network, Solver(Options(), 199, skip), NoiseOf(50), {});
    EXPECT_LT(MaxDifference(images, exact), GetParam().order == 1 ? 0.03 : 5e-3) << static_cast<int>(skip);
  }
}

TEST_P(DpmSolver, CallsTheNetworkAsOftenAsItSays) {
  for (int steps = 1; steps <= 16; ++steps) {
    if (GetParam().method == Method::kMultistep && steps < GetParam().order) continue;
    for (const SkipType skip : {SkipType::kTimeUniform, SkipType::kLogSnr}) {
      const SamplerOptions options = Solver(Options(), steps, skip);
      EXPECT_EQ(LevelsOf(options).size(), static_cast<std::size_t>(steps));
      EXPECT_EQ(NumFunctionEvaluations(options, NoiseSchedule::Edm()), steps);
    }
  }
}

TEST_P(DpmSolver, DenoisesOnceMoreIfAsked) {
  DpmSolverOptions dpm = Options();
  GaussianDenoiser network;
  const at::Tensor images = Sample(network, Solver(dpm, 6), NoiseOf(5), {});
  dpm.denoise_to_zero = true;
  const SamplerOptions options = Solver(dpm, 6);
  GaussianDenoiser again;
  const at::Tensor denoised = Sample(again, options, NoiseOf(5), {});
  EXPECT_EQ(again.levels.size(), 7u);
  EXPECT_EQ(NumFunctionEvaluations(options, again.schedule()), 7);
  EXPECT_DOUBLE_EQ(again.levels.back(), options.sigma_min);
  EXPECT_LT(MaxDifference(denoised, network.Denoise(images, at::full({1}, options.sigma_min), {})), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Forms, DpmSolver, testing::ValuesIn(AllForms()),
                         [](const auto& form) { return NameOf(form.param); });

TEST(DpmSolverGrid, IsSpacedByItsSkipType) {
  const DpmSolverOptions dpm{.method = Method::kMultistep, .order = 1};
  const auto levels = [&](SkipType skip) {
    SamplerOptions options = Solver(dpm, 3, skip);
    options.sigma_min = 0.64;
    return LevelsOf(options);
  };
  EXPECT_THAT(levels(SkipType::kTimeUniform),
              ElementsAre(DoubleNear(10, 1e-9), DoubleNear(6.88, 1e-9), DoubleNear(3.76, 1e-9)));
  EXPECT_THAT(levels(SkipType::kLogSnr), ElementsAre(DoubleNear(10, 1e-9), DoubleNear(4, 1e-9), DoubleNear(1.6, 1e-9)));
  // Roots from 3.1623 to 0.8.
  EXPECT_THAT(levels(SkipType::kTimeQuadratic),
              ElementsAre(DoubleNear(10, 1e-9), DoubleNear(std::pow((2 * std::sqrt(10) + 0.8) / 3, 2), 1e-9),
                          DoubleNear(std::pow((std::sqrt(10) + 1.6) / 3, 2), 1e-9)));
}

// 7 calls of order 3 are steps of 3, 3 and 1.
TEST(DpmSolverGrid, OfEqualTimesHasASinglestepsCallsInIt) {
  const DpmSolverOptions dpm{.order = 3};
  SamplerOptions options = Solver(dpm, 7, SkipType::kTimeUniform);
  options.sigma_min = 3;
  const std::vector<double> levels = LevelsOf(options);
  ASSERT_EQ(levels.size(), 7u);
  for (std::size_t i = 0; i < 7; ++i) EXPECT_NEAR(levels[i], 10.0 - static_cast<double>(i), 1e-9);
}

TEST(DpmSolverGrid, OfEqualLogSnrHasEqualSteps) {
  const DpmSolverOptions dpm{.order = 3};
  SamplerOptions options = Solver(dpm, 7);
  options.sigma_max = std::exp(9);
  options.sigma_min = 1;
  const std::vector<double> levels = LevelsOf(options);
  ASSERT_EQ(levels.size(), 7u);
  for (std::size_t i = 0; i < 7; ++i) EXPECT_NEAR(std::log(levels[i]), 9.0 - static_cast<double>(i), 1e-9);
}

TEST(DpmSolverGrid, OfACosineProcessBeginsWhereLambdaIsClipped) {
  const auto schedule = NoiseSchedule::Discrete(CosineBetas(1000));
  const std::vector<double> levels = LevelsOf(Solver({}, 5), schedule);
  EXPECT_LE(levels.front(), std::exp(5.1));
  EXPECT_GT(levels.front(), std::exp(4.7));
}

// One step between two levels by the papers' formulas in x / alpha; D and eps of the Gaussian at a state and a level.
class DpmSolverStep : public testing::Test {
 protected:
  static at::Tensor Denoised(const at::Tensor& x, double sigma) {
    GaussianDenoiser network;
    return network.Denoise(x.to(at::kFloat), at::full({1}, sigma), {});
  }
  static at::Tensor Noise(const at::Tensor& x, double sigma) { return (x - Denoised(x, sigma)) / sigma; }
  at::Tensor Draw(const DpmSolverOptions& dpm, int steps) const {
    GaussianDenoiser network;
    SamplerOptions options = Solver(dpm, steps);
    options.sigma_min = end_;
    options.sigma_max = start_;
    return Sample(network, options, NoiseOf(20), {});
  }

  double start_ = 4, end_ = 0.25;
  at::Tensor x_ = NoiseOf(20)(0) * start_;
};

TEST_F(DpmSolverStep, OfOrderOneIsEulersInTheNoiseLevel) {
  const at::Tensor expected = x_ + (end_ - start_) * Noise(x_, start_);
  for (const Prediction prediction : {Prediction::kNoise, Prediction::kData}) {
    EXPECT_LT(MaxDifference(Draw({.prediction = prediction, .order = 1}, 1), expected), 5e-6);
  }
}

TEST_F(DpmSolverStep, OfOrderTwoTakesTheMiddle) {
  // At half of h = log 16 the level is 1. Lu et al. 2022a, Alg. 1; 2022b, Alg. 1 with r = 1/2.
  const at::Tensor u = x_ - (std::sqrt(16.0) - 1) * Noise(x_, start_);
  EXPECT_LT(MaxDifference(Draw({.order = 2}, 2), x_ - end_ * (16 - 1) * Noise(u, 1)), 5e-6);
  const at::Tensor v = x_ / 4 - (1 / 4.0 - 1) * Denoised(x_, start_);
  EXPECT_LT(
      MaxDifference(Draw({.prediction = Prediction::kData, .order = 2}, 2), x_ / 16 - (1 / 16.0 - 1) * Denoised(v, 1)),
      5e-6);
}

TEST_F(DpmSolverStep, OfTwoMultistepsExtrapolates) {
  DpmSolverOptions dpm{.prediction = Prediction::kData, .method = Method::kMultistep, .order = 2};
  dpm.lower_order_final = false;
  // Lu et al. 2022b, Alg. 2 with r = 1: D = 3/2 D(x_1) - 1/2 D(x_0).
  const at::Tensor x1 = x_ / 4 - (1 / 4.0 - 1) * Denoised(x_, start_);
  const at::Tensor d = 1.5 * Denoised(x1, 1) - 0.5 * Denoised(x_, start_);
  EXPECT_LT(MaxDifference(Draw(dpm, 2), x1 / 4 - (1 / 4.0 - 1) * d), 5e-6);
  dpm.lower_order_final = true;
  EXPECT_LT(MaxDifference(Draw(dpm, 2), x1 / 4 - (1 / 4.0 - 1) * Denoised(x1, 1)), 5e-6);
}

TEST_F(DpmSolverStep, IsOfLowerOrderAtTheEndOfLessThanTenMultisteps) {
  DpmSolverOptions lower{.method = Method::kMultistep, .order = 3}, same = lower;
  same.lower_order_final = false;
  EXPECT_GT(MaxDifference(Draw(lower, 9), Draw(same, 9)), 1e-5);
  EXPECT_TRUE(at::equal(Draw(lower, 10), Draw(same, 10)));
}

TEST(DpmSolverOptions, ThatDoNotFitTogetherAreRefused) {
  EXPECT_THROW(LevelsOf(Solver({.method = Method::kMultistep, .order = 3}, 2)), ConfigError);
  EXPECT_THROW(LevelsOf(Solver({.order = 4}, 8)), ConfigError);
  EXPECT_THROW(LevelsOf(Solver({.order = 2}, 0)), ConfigError);
}

}  // namespace
}  // namespace lcsc
