#include "lcsc/sample/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/custom_function.h>

#include <limits>

#include <cmath>

#include "lcsc/base/error.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/model/registry.h"
#include "sample/gaussian_denoiser.h"

namespace lcsc {
namespace {

using testing::ElementsAre;

// How far Heun with `steps` steps ends from the exact solution.
double HeunError(SamplerKind kind, int steps) {
  GaussianDenoiser network;
  const SamplerOptions options{.kind = kind, .sigma_min = 1e-4, .sigma_max = 10, .steps = steps};
  const at::Tensor exact = ExactSolution(NoiseOf(50)(0) * options.sigma_max, {.from = options.sigma_max, .to = 0});
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
  EXPECT_EQ(NumFunctionEvaluations(options, network.schedule()), 1);
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
  EXPECT_EQ(NumFunctionEvaluations(options, network.schedule()), 2);
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

TEST(ConsistencySampler, DoesNotTakeInfinityForWhite) {
  GaussianDenoiser network;
  const float infinity = std::numeric_limits<float>::infinity();
  for (const SamplerKind kind : {SamplerKind::kConsistency, SamplerKind::kKarrasEuler, SamplerKind::kKarrasHeun}) {
    const at::Tensor images = Sample(network, {.kind = kind, .steps = 2},
                                     [&](std::uint32_t) {
                                       return at::full({1, 1, 2, 2}, infinity);
                                     },
                                     {});
    EXPECT_FALSE(at::isfinite(images).any().item<bool>());
  }
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
  EXPECT_EQ(static_cast<int>(network.levels.size()), NumFunctionEvaluations(options, network.schedule()));
  EXPECT_EQ(NumFunctionEvaluations(options, network.schedule()), 13);
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

// The Gaussian's denoiser times a weight.
class WeightedDenoiser : public GaussianDenoiser {
 public:
  using GaussianDenoiser::GaussianDenoiser;
  at::Tensor Denoise(const at::Tensor& x, const at::Tensor& sigma, const Conditioning&) override {
    ++calls;
    return ExactDenoised(x, sigma.item<double>()).to(at::kFloat) * weight;
  }
  at::Tensor weight = register_parameter("weight", at::ones({1}));
  int calls = 0;
};

class AnySampler : public testing::TestWithParam<SamplerKind> {
 protected:
  const SamplerOptions options_{.kind = GetParam(), .consistency_sigmas = {0.8}, .steps = 4};
};

TEST_P(AnySampler, LetsGradientsThroughToTheWeights) {
  WeightedDenoiser network(NoiseSchedule::Discrete(LinearBetas(1000)));
  const auto sum_at = [&](double weight) {
    const at::NoGradGuard no_gradients;
    network.weight.fill_(weight);
    return Sample(network, options_, NoiseOf(3), {}).to(at::kDouble).sum().item<double>();
  };
  const double difference = (sum_at(0.901) - sum_at(0.899)) / 0.002;
  sum_at(0.9);
  Sample(network, options_, NoiseOf(3), {}).sum().backward();
  ASSERT_TRUE(network.weight.grad().defined());
  EXPECT_GT(std::abs(difference), 0.1);
  EXPECT_NEAR(network.weight.grad().item<double>(), difference, 0.01 * std::abs(difference));
}

// Counts what a call keeps for its derivatives as long as it keeps it.
struct Kept : torch::autograd::Function<Kept> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x) {
    context->saved_data["count"] = c10::IValue::make_capsule(c10::make_intrusive<Counter>());
    return x.clone();
  }
  static std::vector<at::Tensor> backward(torch::autograd::AutogradContext*, const std::vector<at::Tensor>& of_answer) {
    return of_answer;
  }
  struct Counter : torch::CustomClassHolder {
    Counter() { most = std::max(most, ++now); }
    ~Counter() override { --now; }
    Counter(const Counter&) = delete;
    Counter& operator=(const Counter&) = delete;
  };
  inline static int now = 0, most = 0;
};

class KeepingDenoiser : public WeightedDenoiser {
 public:
  using WeightedDenoiser::WeightedDenoiser;
  at::Tensor Denoise(const at::Tensor& x, const at::Tensor& sigma, const Conditioning& conditioning) override {
    return Kept::apply(WeightedDenoiser::Denoise(x, sigma, conditioning));
  }
};

TEST_P(AnySampler, KeepsTheActivationsOfNoMoreThanOneCall) {
  KeepingDenoiser network(NoiseSchedule::Discrete(LinearBetas(1000)));
  Kept::most = 0;
  const at::Tensor sum = Sample(network, options_, NoiseOf(3), {}).sum();
  const int forward_calls = network.calls;
  ASSERT_EQ(forward_calls, NumFunctionEvaluations(options_, network.schedule()));
  ASSERT_GT(forward_calls, 1);
  EXPECT_EQ(Kept::now, 0);
  sum.backward();
  EXPECT_EQ(network.calls, 2 * forward_calls);
  EXPECT_EQ(Kept::most, 1);
}

// As weights that a TorchScript module shares have.
class TwiceNamedDenoiser : public WeightedDenoiser {
 public:
  explicit TwiceNamedDenoiser(NoiseSchedule schedule) : WeightedDenoiser(std::move(schedule)) {
    register_parameter("again", weight);
  }
};

TEST_P(AnySampler, CountsAWeightOfTwoNamesOnce) {
  WeightedDenoiser network(NoiseSchedule::Discrete(LinearBetas(1000)));
  TwiceNamedDenoiser twin(NoiseSchedule::Discrete(LinearBetas(1000)));
  for (WeightedDenoiser* each : {&network, static_cast<WeightedDenoiser*>(&twin)}) {
    Sample(*each, options_, NoiseOf(3), {}).sum().backward();
  }
  EXPECT_EQ(network.weight.grad().item<float>(), twin.weight.grad().item<float>());
}

TEST(OneStep, IsNotRecomputed) {
  WeightedDenoiser network;
  Sample(network, {.kind = SamplerKind::kConsistency}, NoiseOf(3), {}).sum().backward();
  EXPECT_EQ(network.calls, 1);
}

TEST_P(AnySampler, DrawsFloat32ImagesOfTheNoisesShape) {
  GaussianDenoiser network(NoiseSchedule::Discrete(LinearBetas(1000)));
  const at::Tensor images = Sample(network, options_, NoiseOf(3), {});
  EXPECT_EQ(images.scalar_type(), at::kFloat);
  EXPECT_EQ(images.sizes(), at::IntArrayRef({3, 1, 2, 2}));
}

INSTANTIATE_TEST_SUITE_P(Kinds, AnySampler,
                         testing::Values(SamplerKind::kConsistency, SamplerKind::kKarrasEuler, SamplerKind::kKarrasHeun,
                                         SamplerKind::kKarrasAncestral, SamplerKind::kEdmHeun, SamplerKind::kDdim,
                                         SamplerKind::kDpmSolver));

}  // namespace
}  // namespace lcsc
