#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lcsc/base/error.h"
#include "lcsc/sample/sampler.h"
#include "sample/gaussian_denoiser.h"

namespace lcsc {
namespace {

using testing::ElementsAre;

NoiseSchedule Linear(std::int64_t num_timesteps) { return NoiseSchedule::Discrete(LinearBetas(num_timesteps)); }

SamplerOptions Ddim(int steps, double eta = 0, SkipType skip = SkipType::kTimeUniform) {
  return {.kind = SamplerKind::kDdim, .steps = steps, .skip = skip, .eta = eta};
}

// The discrete steps at which the network is called, noisiest first.
std::vector<int> StepsOf(const SamplerOptions& options, const NoiseSchedule& schedule) {
  GaussianDenoiser network(schedule);
  Sample(network, options, NoiseOf(1), {});
  EXPECT_EQ(static_cast<int>(network.levels.size()), NumFunctionEvaluations(options, schedule));
  std::vector<int> steps;
  for (const double level : network.levels) {
    const double step = schedule.TimeOfNoiseLevel(level) * static_cast<double>(schedule.num_timesteps()) - 1;
    EXPECT_NEAR(step, std::round(step), 1e-6);
    steps.push_back(static_cast<int>(std::round(step)));
  }
  return steps;
}

// alpha_bar behind step 0, 1, ..., as a product and not by way of the schedule.
std::vector<double> AlphaBars(std::int64_t num_timesteps) {
  std::vector<double> products;
  double product = 1;
  for (const double beta : LinearBetas(num_timesteps)) products.push_back(product *= 1 - beta);
  return products;
}

TEST(DdimSteps, AreEveryNthFromZero) {
  EXPECT_THAT(StepsOf(Ddim(4), Linear(1000)), ElementsAre(750, 500, 250, 0));
  // range(0, 1000, 1000 // 15) has 16 elements.
  const std::vector<int> steps = StepsOf(Ddim(15), Linear(1000));
  EXPECT_EQ(steps.size(), 16u);
  EXPECT_EQ(steps.front(), 990);
  EXPECT_EQ(StepsOf(Ddim(100), Linear(100)).size(), 100u);
}

// int(numpy.linspace(0, (0.8 N)^0.5, S) ** 2).
TEST(DdimSteps, OfTheQuadraticKindAreSquares) {
  const auto steps = [](int count, std::int64_t n) {
    return StepsOf(Ddim(count, 0, SkipType::kTimeQuadratic), Linear(n));
  };
  EXPECT_THAT(steps(11, 1000), ElementsAre(800, 648, 512, 392, 288, 200, 128, 72, 32, 8, 0));
  EXPECT_THAT(steps(9, 4000), ElementsAre(3200, 2450, 1800, 1250, 800, 450, 200, 50, 0));
  EXPECT_THAT(steps(1, 1000), ElementsAre(0));
}

// numpy's 50 squares of N = 1000 begin with 0, 0, 1: the second visit to 0 would change nothing.
TEST(DdimSteps, AreVisitedOnce) {
  const std::vector<int> steps = StepsOf(Ddim(50, 0, SkipType::kTimeQuadratic), Linear(1000));
  EXPECT_EQ(steps.size(), 49u);
  EXPECT_EQ(steps.front(), 800);
  EXPECT_EQ(steps[47], 1);
}

TEST(DdimSteps, ThatTheNetworkDoesNotHaveAreRefused) {
  EXPECT_THROW(StepsOf(Ddim(101), Linear(100)), ConfigError);
  EXPECT_THROW(StepsOf(Ddim(10), NoiseSchedule::Edm()), ConfigError);
  EXPECT_THROW(StepsOf(Ddim(10, 0, SkipType::kLogSnr), Linear(100)), ConfigError);
}

TEST(Ddim, WithoutNoiseIsDpmSolverOfOrderOneAndALastDenoising) {
  GaussianDenoiser first(Linear(40)), second(Linear(40));
  const SamplerOptions dpm{
      .kind = SamplerKind::kDpmSolver, .steps = 39, .dpm_solver = {.order = 1, .denoise_to_zero = true}};
  EXPECT_LT(MaxDifference(Sample(first, Ddim(40), NoiseOf(20), {}), Sample(second, dpm, NoiseOf(20), {})), 1e-6);
}

// Song et al. 2021, eq. 12 and 16 in x_t itself, step by step from the states that the network saw.
TEST(Ddim, TakesThePapersStepsWithNoise) {
  const double eta = 0.7;
  const std::vector<double> alpha_bars = AlphaBars(1000);
  GaussianDenoiser network(Linear(1000));
  const at::Tensor images = Sample(network, Ddim(5, eta), NoiseOf(20), {});
  EXPECT_LT(MaxDifference(network.states[0] * std::sqrt(alpha_bars[800]), NoiseOf(20)(0)), 1e-6);
  for (std::size_t i = 0; i < 4; ++i) {
    const double a = alpha_bars[800 - 200 * i], a_next = alpha_bars[600 - 200 * i];
    const at::Tensor x = network.states[i].to(at::kDouble) * std::sqrt(a);
    const at::Tensor x0 = ExactDenoised(network.states[i], network.levels[i]);
    const at::Tensor eps = (x - std::sqrt(a) * x0) / std::sqrt(1 - a);
    const double sigma = eta * std::sqrt((1 - a_next) / (1 - a)) * std::sqrt(1 - a / a_next);
    const at::Tensor next = std::sqrt(a_next) * x0 + std::sqrt(1 - a_next - sigma * sigma) * eps +
                            sigma * NoiseOf(20)(static_cast<std::uint32_t>(i + 1));
    EXPECT_LT(MaxDifference(network.states[i + 1] * std::sqrt(a_next), next), 2e-6) << i;
  }
  EXPECT_LT(MaxDifference(images, ExactDenoised(network.states[4], network.levels[4])), 1e-6);
}

}  // namespace
}  // namespace lcsc
