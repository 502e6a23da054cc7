#include "lcsc/sample/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lcsc/base/error.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/model/registry.h"

namespace lcsc {
namespace {

using testing::ElementsAre;

constexpr ImageShape kShape{1, 2, 2};
constexpr double kMean = 0.1, kDeviation = 0.2;

// The best denoiser of images whose pixels are N(kMean, kDeviation^2): D(x; s) = (d^2 x + s^2 m) / (d^2 + s^2).
// Its probability-flow ODE has the solution x(s) = m + (x(S) - m) sqrt((d^2 + s^2) / (d^2 + S^2)).
class GaussianDenoiser : public Denoiser {
 public:
  at::Tensor Denoise(const at::Tensor& x, const at::Tensor& sigma, const Conditioning&) override {
    levels.push_back(sigma.item<double>());
    const at::Tensor variance = sigma.square().view({-1, 1, 1, 1});
    return (x * (kDeviation * kDeviation) + variance * kMean) / (variance + kDeviation * kDeviation);
  }
  std::int64_t img_channels() const override { return kShape.channels; }
  std::int64_t img_resolution() const override { return kShape.height; }
  std::int64_t label_dim() const override { return 0; }

  std::vector<double> levels;
};

NoiseSource NoiseOf(std::int64_t num_samples) {
  return [num_samples](std::uint32_t part) { return SampleNoise(3, {0, num_samples}, kShape, part); };
}

double MaxDifference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

// How far Heun with `steps` steps ends from the exact solution.
double HeunError(SamplerKind kind, int steps) {
  GaussianDenoiser network;
  const SamplerOptions options{.kind = kind, .sigma_min = 1e-4, .sigma_max = 10, .steps = steps};
  const at::Tensor start = NoiseOf(50)(0).to(at::kDouble) * options.sigma_max;
  const double top = kDeviation * kDeviation + options.sigma_max * options.sigma_max;
  const at::Tensor exact = kMean + (start - kMean) * (kDeviation / std::sqrt(top));
  return MaxDifference(Sample(network, options, NoiseOf(50), {}), exact);
}

TEST(KarrasSigmas, AreEquallySpacedInTheirRootAndEndAtZero) {
  const std::vector<double> sigmas = KarrasSigmas(5, 0.002, 80, 7);
  ASSERT_EQ(sigmas.size(), 6u);
  EXPECT_NEAR(sigmas[0], 80, 1e-10);
  EXPECT_NEAR(std::pow(sigmas[2], 1 / 7.0), (std::pow(80, 1 / 7.0) + std::pow(0.002, 1 / 7.0)) / 2, 1e-12);
  EXPECT_NEAR(sigmas[4], 0.002, 1e-12);
  EXPECT_EQ(sigmas[5], 0);
}

TEST(KarrasSigmas, RefuseASingleStep) { EXPECT_THROW(KarrasSigmas(1, 0.002, 80, 7), ConfigError); }

TEST(ConsistencySampler, OfOneStepDenoisesTheInitialNoise) {
  GaussianDenoiser network;
  const SamplerOptions options;
  const at::Tensor images = Sample(network, options, NoiseOf(20), {});
  EXPECT_THAT(network.levels, ElementsAre(80));
  const double gain = kDeviation * kDeviation / (kDeviation * kDeviation + 80.0 * 80.0);
  EXPECT_LT(MaxDifference(images, kMean + gain * (NoiseOf(20)(0) * 80 - kMean)), 1e-6);
  EXPECT_EQ(NumFunctionEvaluations(options), 1);
}

TEST(ConsistencySampler, AddsFreshNoiseBetweenSteps) {
  GaussianDenoiser network;
  const SamplerOptions options{.consistency_sigmas = {0.5}};
  const at::Tensor images = Sample(network, options, NoiseOf(20), {});
  const double variance = kDeviation * kDeviation, gain = variance / (variance + 6400),
               gain2 = variance / (variance + 0.25);
  const at::Tensor first = kMean + gain * (NoiseOf(20)(0) * 80 - kMean);
  const at::Tensor renoised = first + NoiseOf(20)(1) * std::sqrt(0.25 - 0.002 * 0.002);
  EXPECT_LT(MaxDifference(images, kMean + gain2 * (renoised - kMean)), 1e-6);
  EXPECT_EQ(NumFunctionEvaluations(options), 2);
}

TEST(ConsistencySampler, TakesItsLevelsFromTheKarrasGrid) {
  const SamplerOptions options;
  // consistency_models: (t_max^(1/7) + 17 / 39 (t_min^(1/7) - t_max^(1/7)))^7.
  const double root = std::pow(80, 1 / 7.0) + 17 / 39.0 * (std::pow(0.002, 1 / 7.0) - std::pow(80, 1 / 7.0));
  EXPECT_THAT(ConsistencySigmasFromGrid({0, 17, 39}, 40, options),
              ElementsAre(testing::DoubleNear(std::pow(root, 7), 1e-9)));
  EXPECT_THAT(ConsistencySigmasFromGrid({0, 39}, 40, options), ElementsAre());
  EXPECT_THROW(ConsistencySigmasFromGrid({0, 17, 38}, 40, options), ConfigError);
  EXPECT_THROW(ConsistencySigmasFromGrid({0, 17, 17, 39}, 40, options), ConfigError);
}

TEST(ConsistencySampler, ClampsEveryDenoisedImage) {
  GaussianDenoiser network;
  const SamplerOptions options{.sigma_max = 0.1};
  const at::Tensor images = Sample(network, options, [](std::uint32_t) { return at::full({1, 1, 2, 2}, 1e3); }, {});
  EXPECT_TRUE(at::equal(images, at::ones({1, 1, 2, 2})));
}

class HeunSampler : public testing::TestWithParam<SamplerKind> {};

TEST_P(HeunSampler, ConvergesToTheExactSolutionAtSecondOrder) {
  const double coarse = HeunError(GetParam(), 40), fine = HeunError(GetParam(), 80);
  EXPECT_LT(fine, 2e-3);
  EXPECT_NEAR(std::log2(coarse / fine), 2, 0.25);
}

TEST_P(HeunSampler, CallsTheNetworkAsOftenAsItSays) {
  GaussianDenoiser network;
  const SamplerOptions options{.kind = GetParam(), .steps = 7};
  Sample(network, options, NoiseOf(2), {});
  EXPECT_EQ(static_cast<int>(network.levels.size()), NumFunctionEvaluations(options));
  EXPECT_EQ(NumFunctionEvaluations(options), 13);
}

INSTANTIATE_TEST_SUITE_P(Forms, HeunSampler, testing::Values(SamplerKind::kKarrasHeun, SamplerKind::kEdmHeun));

// Images recorded from EDM's sampler with the network of the edm_ncsnpp fixture.
class EdmSampler : public testing::Test {
 protected:
  at::Tensor Draw(const Churn& churn) {
    const SamplerOptions options{.kind = SamplerKind::kEdmHeun, .steps = 9, .churn = churn};
    const auto noise = [this](std::uint32_t part) {
      return part == 0 ? io_.at("latents") : io_.at("churn_noise")[part - 1];
    };
    return Sample(*network_, options, noise, {});
  }
  double RelativeError(const at::Tensor& images, const std::string& name) const {
    return ((images - io_.at(name)).norm() / io_.at(name).norm()).item<double>();
  }

  const std::filesystem::path data_ = std::filesystem::path(LCSC_SOURCE_DIR) / "tests/data";
  const std::shared_ptr<Denoiser> network_ = LoadDenoiser(data_ / "edm_ncsnpp.weights.safetensors");
  const NamedTensors io_ = ReadSafetensors(data_ / "edm_sampler.io.safetensors");
};

TEST_F(EdmSampler, DrawsTheRecordedImages) { EXPECT_LT(RelativeError(Draw({}), "edm_heun_9"), 1e-5); }

// Recorded with EDM's constants for ImageNet, but S_churn = 10.
TEST_F(EdmSampler, DrawsTheRecordedImagesWithChurn) {
  const at::Tensor images = Draw({.s_churn = 10, .s_min = 0.05, .s_max = 50, .s_noise = 1.003});
  EXPECT_LT(RelativeError(images, "edm_heun_9_churn10"), 1e-5);
}

TEST(Quantise, TruncatesByEitherRule) {
  const at::Tensor images = at::tensor({-1.5, -1.0, 0.0, 0.9999, 1.0, 2.0}).view({1, 1, 2, 3});
  const auto expect = [&](Quantisation rule, at::ArrayRef<std::int64_t> values) {
    EXPECT_TRUE(at::equal(Quantise(images, rule).flatten(), at::tensor(values).to(at::kByte)));
  };
  expect(Quantisation::kOpenAi, {0, 0, 127, 254, 255, 255});  // (x + 1) 127.5
  expect(Quantisation::kEdm, {0, 0, 128, 255, 255, 255});     // 127.5 x + 128
}

TEST(Sampling, LetsGradientsThroughToTheWeights) {
  const auto network = MakeDenoiser({{"model_type", "SongUNet"},
                                     {"precond", "ConsistencyPrecond"},
                                     {"img_resolution", 4},
                                     {"img_channels", 1},
                                     {"model_channels", 8},
                                     {"channel_mult", {1}},
                                     {"num_blocks", 1}});
  const auto noise = [](std::uint32_t part) { return SampleNoise(1, {0, 3}, {1, 4, 4}, part); };
  for (const SamplerKind kind : {SamplerKind::kConsistency, SamplerKind::kKarrasHeun}) {
    network->zero_grad();
    Sample(*network, {.kind = kind, .steps = 3}, noise, {}).sum().backward();
    const at::Tensor& gradient = network->named_parameters()["model.dec.4x4_aux_conv.weight"].grad();
    ASSERT_TRUE(gradient.defined());
    EXPECT_GT(gradient.abs().max().item<double>(), 0);
  }
}

}  // namespace
}  // namespace lcsc
