#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lcsc/base/error.h"
#include "lcsc/sample/sampler.h"
#include "sample/gaussian_denoiser.h"

namespace lcsc {
namespace {

SamplerOptions Karras(SamplerKind kind, int steps) {
  return {.kind = kind, .sigma_min = 1e-4, .sigma_max = 10, .steps = steps};
}

double EulerError(int steps) {
  GaussianDenoiser network;
  const SamplerOptions options = Karras(SamplerKind::kKarrasEuler, steps);
  const at::Tensor exact = ExactSolution(NoiseOf(50)(0) * options.sigma_max, {.from = options.sigma_max, .to = 0});
  return MaxDifference(Sample(network, options, NoiseOf(50), {}), exact);
}

TEST(KarrasEuler, ConvergesToTheExactSolutionAtFirstOrder) {
  const double coarse = EulerError(100), fine = EulerError(200);
  EXPECT_LT(fine, 0.02);
  EXPECT_NEAR(std::log2(coarse / fine), 1, 0.1);
}

class KarrasSampler : public testing::TestWithParam<SamplerKind> {};

TEST_P(KarrasSampler, CallsTheNetworkOnceAStep) {
  GaussianDenoiser network;
  const SamplerOptions options = Karras(GetParam(), 7);
  Sample(network, options, NoiseOf(2), {});
  EXPECT_EQ(network.levels.size(), 7u);
  EXPECT_EQ(NumFunctionEvaluations(options, network.schedule()), 7);
  const std::vector<double> sigmas = KarrasSigmas(7, 1e-4, 10, 7);
  for (std::size_t i = 0; i < 7; ++i) EXPECT_NEAR(network.levels[i], sigmas[i], 5e-6 * sigmas[i]);  // float32
}

TEST_P(KarrasSampler, ClampsWhatTheNetworkDenoises) {
  GaussianDenoiser network;
  SamplerOptions options = Karras(GetParam(), 4);
  options.sigma_max = 0.1;
  const at::Tensor images = Sample(network, options, [](std::uint32_t) { return at::full({1, 1, 2, 2}, 1e3); }, {});
  EXPECT_TRUE(at::equal(images, at::ones({1, 1, 2, 2})));
}

TEST_P(KarrasSampler, RefusesASingleStep) {
  EXPECT_THROW(NumFunctionEvaluations(Karras(GetParam(), 1), NoiseSchedule::Edm()), ConfigError);
}

INSTANTIATE_TEST_SUITE_P(Forms, KarrasSampler,
                         testing::Values(SamplerKind::kKarrasEuler, SamplerKind::kKarrasAncestral));

// The posterior of x_s given x_t and x_0 where x_t = x_0 + t e is a random walk: mean x_0 + (s/t)^2 (x_t - x_0),
// variance s^2 (t^2 - s^2) / t^2.
TEST(KarrasAncestral, DrawsFromThePosteriorOfEachStep) {
  GaussianDenoiser network;
  Sample(network, Karras(SamplerKind::kKarrasAncestral, 6), NoiseOf(30), {});
  const std::vector<double> sigmas = KarrasSigmas(6, 1e-4, 10, 7);
  for (std::size_t i = 0; i + 1 < 6; ++i) {
    const double t = sigmas[i], s = sigmas[i + 1];
    const at::Tensor x0 = ExactDenoised(network.states[i], t).clamp(-1, 1);
    const at::Tensor mean = x0 + s * s / (t * t) * (network.states[i] - x0);
    const at::Tensor noise = NoiseOf(30)(static_cast<std::uint32_t>(i + 1));
    EXPECT_LT(MaxDifference(network.states[i + 1], mean + s * std::sqrt(1 - s * s / (t * t)) * noise), 1e-5) << i;
  }
}

// Around an image that is certain, the noise keeps the level's own variance: 40,000 numbers, standard error 0.7 %.
TEST(KarrasAncestral, KeepsTheVarianceOfEachNoiseLevel) {
  class CertainDenoiser : public GaussianDenoiser {
   public:
    at::Tensor Denoise(const at::Tensor& x, const at::Tensor& sigma, const Conditioning&) override {
      deviations.push_back(x.std().item<double>() / sigma.item<double>());
      return at::zeros_like(x);
    }
    std::vector<double> deviations;
  } network;
  Sample(network, Karras(SamplerKind::kKarrasAncestral, 8), NoiseOf(10000), {});
  ASSERT_EQ(network.deviations.size(), 8u);
  for (const double deviation : network.deviations) EXPECT_NEAR(deviation, 1, 0.015);
}

TEST(KarrasHeun, TakesChurnAsEdmsDoes) {
  const auto draw = [](SamplerKind kind, double s_churn) {
    GaussianDenoiser network;
    SamplerOptions options = Karras(kind, 9);
    options.churn = {.s_churn = s_churn, .s_min = 0.05, .s_max = 5, .s_noise = 1.003};
    return Sample(network, options, NoiseOf(10), {});
  };
  const at::Tensor churned = draw(SamplerKind::kKarrasHeun, 4);
  EXPECT_GT(MaxDifference(churned, draw(SamplerKind::kKarrasHeun, 0)), 0.01);
  EXPECT_LT(MaxDifference(churned, draw(SamplerKind::kEdmHeun, 4).clamp(-1, 1)), 1e-5);
}

}  // namespace
}  // namespace lcsc
