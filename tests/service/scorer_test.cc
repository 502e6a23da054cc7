#include "lcsc/service/scorer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lcsc/base/error.h"
#include "lcsc/service/candidate_evaluator.h"
#include "lcsc/store/packer.h"
#include "service/tiny_models.h"

namespace lcsc {
namespace {

using ::testing::HasSubstr;

class ScorerTest : public ::testing::Test {
 protected:
  ScorerTest() : models_(std::filesystem::path(::testing::TempDir()) / "scorer_test"), options_(models_.Options()) {}

  // What the scorer should print, from the rooms below it, image by image.
  double ScoreByHand(Denoiser& network) const {
    const c10::InferenceMode no_gradients;
    std::vector<at::Tensor> features;
    const auto extractor = LoadFeatureExtractor(options_.extractor);
    for (std::int64_t j = 0; j < options_.num_samples; ++j) {
      const at::Tensor noise = SampleNoise(1, {j, j + 1}, {1, 8, 8});
      const at::Tensor image = network.Denoise(noise * 80, at::full({1}, 80.0f), {}).clamp(-1, 1);
      features.push_back(extractor->Features(((image + 1) * 127.5).clamp(0, 255).to(at::kByte)));
    }
    const at::Tensor all = at::cat(features).to(at::kDouble);
    const GaussianStatistics generated{all.mean(0), at::cov(all.t())};
    return FrechetDistance(generated, ReadReference(options_.reference).statistics);
  }

  LocalCollective alone_;
  TinyModels models_;
  EvaluationOptions options_;
};

TEST_F(ScorerTest, ANetworksScoreIsTheDistanceOfItsSamples) {
  const auto network = LoadDenoiser(models_.WriteCheckpoint("a", models_.Weights(1), 1));
  Scorer scorer(options_, alone_);
  const Outcome outcome = scorer.ScoreNetwork(*network);
  ASSERT_TRUE(outcome.score.has_value()) << outcome.failure;
  EXPECT_NEAR(*outcome.score, ScoreByHand(*network), 1e-4 * *outcome.score);
  EXPECT_GT(outcome.seconds.sample, 0);
}

TEST_F(ScorerTest, TheScoreIsTheSameEveryTimeAndDiffersBySeed) {
  const auto network = LoadDenoiser(models_.WriteCheckpoint("a", models_.Weights(1), 1));
  const double first = *Scorer(options_, alone_).ScoreNetwork(*network).score;
  EXPECT_EQ(*Scorer(options_, alone_).ScoreNetwork(*network).score, first);
  options_.seed = 2;
  EXPECT_NE(*Scorer(options_, alone_).ScoreNetwork(*network).score, first);
}

// evaluation.precision reaches the network, and leaves it with the next source's.
TEST_F(ScorerTest, ImagesIn16BitsDifferALittle) {
  const c10::InferenceMode no_gradients;
  NamedTensors weights = models_.Weights(1);
  weights.at("model.dec.8x8_aux_conv.weight").normal_().mul_(0.1);  // fresh ones give gray images
  const auto network = LoadDenoiser(models_.WriteCheckpoint("a", weights, 1));
  const auto draw = [&](const char* precision) {
    options_.precision = precision;
    return ImageSource(options_).Draw(*network, {0, 20}).to(at::kFloat);
  };
  const at::Tensor exact = draw("float32"), rounded = draw("bf16");
  EXPECT_GT((rounded - exact).abs().max().item<double>(), 0);
  EXPECT_LT((rounded - exact).abs().mean().item<double>(), 3);
  EXPECT_TRUE(at::equal(draw("float32"), exact));
}

TEST_F(ScorerTest, ImagesOfTheReferenceScoreZero) {
  Scorer scorer(options_, alone_);
  EXPECT_NEAR(*scorer.ScoreImages(TinyModels::RandomImages(200)).score, 0, 1e-6);
}

TEST_F(ScorerTest, NonFiniteImagesAreAFailedOutcome) {
  NamedTensors weights = models_.Weights(1);
  weights.begin()->second.fill_(std::nanf(""));
  const auto network = LoadDenoiser(models_.WriteCheckpoint("nan", weights, 1));
  const Outcome outcome = Scorer(options_, alone_).ScoreNetwork(*network);
  EXPECT_FALSE(outcome.score.has_value());
  EXPECT_THAT(outcome.failure, HasSubstr("non-finite"));
}

TEST_F(ScorerTest, AReferenceOfAnotherDimensionIsRefused) {
  WriteReference(options_.reference, {{at::zeros({5}, at::kDouble), at::eye(5, at::kDouble)}, ""});
  try {
    Scorer(options_, alone_);
    FAIL();
  } catch (const MetricError& error) {
    EXPECT_THAT(error.what(), HasSubstr("expected statistics of 6 features"));
    EXPECT_THAT(error.what(), HasSubstr("found 5"));
  }
}

TEST_F(ScorerTest, AReferenceOfAnotherExtractorIsRefused) {
  ReferenceFile reference = ReadReference(options_.reference);
  reference.provenance_json = R"({"extractor_digest": "0123"})";
  WriteReference(options_.reference, reference);
  EXPECT_THROW(Scorer(options_, alone_), InputError);
}

TEST_F(ScorerTest, MoreRanksThanBatchesAreRefused) {
  struct FiveRanks : LocalCollective {
    int group_size() const override { return 5; }
  } five;
  options_.num_samples = 60;
  options_.batch_size = 16;  // 4 batches
  EXPECT_THROW(OwnBatches(options_, five), ConfigError);
  options_.batch_size = 12;
  EXPECT_EQ(OwnBatches(options_, five).size(), 1u);
}

TEST_F(ScorerTest, SigmasOutOfOrderAreRefused) {
  options_.consistency_sigmas = {1.0, 2.0};
  EXPECT_THROW(SamplerOf(options_), ConfigError);
  options_.consistency_sigmas = {2.0, 1.0};
  EXPECT_EQ(NumFunctionEvaluations(SamplerOf(options_), NoiseSchedule::Edm()), 3);
}

TEST_F(ScorerTest, TsAreIndicesIntoTheGridOfSteps) {
  options_.ts = {0, 17, 39};
  EXPECT_THROW(SamplerOf(options_), ConfigError);  // of 18 steps
  options_.steps = 40;
  const double root = std::pow(80, 1 / 7.0) + 17 / 39.0 * (std::pow(0.002, 1 / 7.0) - std::pow(80, 1 / 7.0));
  ASSERT_EQ(SamplerOf(options_).consistency_sigmas.size(), 1u);
  EXPECT_NEAR(SamplerOf(options_).consistency_sigmas[0], std::pow(root, 7), 1e-9);
  options_.ts = {0, 17.5, 39};
  EXPECT_THROW(SamplerOf(options_), ConfigError);
  options_.ts = {0, 17, 39};
  options_.consistency_sigmas = {1};
  EXPECT_THROW(SamplerOf(options_), ConfigError);
}

TEST_F(ScorerTest, EverySamplersOptionsReachIt) {
  options_.sampler = "dpm-solver++";
  options_.method = "multistep";
  options_.order = 2;
  options_.skip = "logsnr";
  options_.lower_order_final = "off";
  options_.denoise_to_zero = "on";
  options_.steps = 7;
  SamplerOptions sampler = SamplerOf(options_);
  EXPECT_EQ(sampler.kind, SamplerKind::kDpmSolver);
  EXPECT_EQ(sampler.dpm_solver.prediction, DpmSolverOptions::Prediction::kData);
  EXPECT_EQ(sampler.dpm_solver.method, DpmSolverOptions::Method::kMultistep);
  EXPECT_EQ(sampler.dpm_solver.order, 2);
  EXPECT_EQ(sampler.skip, SkipType::kLogSnr);
  EXPECT_FALSE(sampler.dpm_solver.lower_order_final);
  EXPECT_EQ(NumFunctionEvaluations(sampler, NoiseSchedule::Edm()), 8);

  options_.sampler = "dpm-solver";
  EXPECT_EQ(SamplerOf(options_).dpm_solver.prediction, DpmSolverOptions::Prediction::kNoise);

  options_.sampler = "ddim";
  options_.skip = "time_quadratic";
  options_.eta = 0.5;
  sampler = SamplerOf(options_);
  EXPECT_EQ(sampler.kind, SamplerKind::kDdim);
  EXPECT_EQ(sampler.skip, SkipType::kTimeQuadratic);
  EXPECT_EQ(sampler.eta, 0.5);

  options_.sampler = "karras-heun";
  options_.s_churn = 1;
  options_.s_min = 2;
  options_.s_max = 3;
  options_.s_noise = 4;
  sampler = SamplerOf(options_);
  EXPECT_EQ(sampler.kind, SamplerKind::kKarrasHeun);
  EXPECT_EQ(sampler.churn.s_churn, 1);
  EXPECT_EQ(sampler.churn.s_min, 2);
  EXPECT_EQ(sampler.churn.s_max, 3);
  EXPECT_EQ(sampler.churn.s_noise, 4);

  options_.sampler = "karras-euler";
  EXPECT_EQ(SamplerOf(options_).kind, SamplerKind::kKarrasEuler);
  options_.sampler = "karras-ancestral";
  EXPECT_EQ(SamplerOf(options_).kind, SamplerKind::kKarrasAncestral);
}

// Before the first sample is drawn.
TEST_F(ScorerTest, ASamplerThatTheNetworkDoesNotHaveIsRefused) {
  const auto network = MakeDenoiser(TinyNetworkJson());
  options_.sampler = "ddim";
  EXPECT_THROW(Scorer(options_, alone_).CheckFits(*network), ConfigError);
  options_.sampler = "karras-heun";
  options_.steps = 1;
  EXPECT_THROW(Scorer(options_, alone_).CheckFits(*network), ConfigError);
}

TEST_F(ScorerTest, ACandidatesScoreIsThatOfItsMergedWeights) {
  std::filesystem::remove_all(options_.trajectory);
  const std::vector<double> coefficients = {1.25, 0.5, -0.75};
  NamedTensors merged;
  for (int i = 0; i < 3; ++i) {
    const NamedTensors weights = models_.Weights(static_cast<std::uint64_t>(20 + i), 0.02);
    models_.WriteCheckpoint("candidate-" + std::to_string(i), weights, 10 * (i + 1));
    for (const auto& [name, tensor] : weights) {
      const at::Tensor term = tensor.to(at::kDouble) * coefficients[static_cast<std::size_t>(i)];
      merged[name] = merged.contains(name) ? merged[name] + term : term;
    }
  }
  for (auto& [name, tensor] : merged) tensor = tensor.to(at::kFloat);
  PackOptions pack;
  pack.checkpoints = models_.folder() / "candidate-*.safetensors";
  pack.output = options_.trajectory;
  Pack(pack);

  CandidateEvaluator evaluator(options_, alone_, {});
  const Outcome outcome = evaluator.Evaluate({.id = 0, .coefficients = coefficients});
  ASSERT_TRUE(outcome.score.has_value()) << outcome.failure;
  const auto network = LoadDenoiser(models_.WriteCheckpoint("merged", merged, 1));
  EXPECT_NEAR(*outcome.score, *Scorer(options_, alone_).ScoreNetwork(*network).score, 1e-3 * *outcome.score);
}

}  // namespace
}  // namespace lcsc
