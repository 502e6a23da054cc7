// Every metric of the scorer against its function, called on features that were made by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "lcsc/base/error.h"
#include "lcsc/metric/inception_score.h"
#include "lcsc/metric/kid.h"
#include "lcsc/metric/precision_recall.h"
#include "lcsc/service/scorer.h"
#include "service/measured_models.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ScorerMetricsTest : public ::testing::Test {
 protected:
  ScorerMetricsTest() : models_(folder_.path()), options_(models_.Options()) {
    network_ = LoadDenoiser(models_.WriteCheckpoint("a", models_.Weights(1), 1));
  }

  // uint8 [num_samples, 1, 8, 8], sample by sample.
  at::Tensor ImagesByHand() const {
    const c10::InferenceMode no_gradients;
    std::vector<at::Tensor> images;
    for (std::int64_t j = 0; j < options_.num_samples; ++j) {
      const at::Tensor noise = SampleNoise(1, {j, j + 1}, {1, 8, 8});
      const at::Tensor image = network_->Denoise(noise * 80, at::full({1}, 80.0f), {}).clamp(-1, 1);
      images.push_back(((image + 1) * 127.5).clamp(0, 255).to(at::kByte));
    }
    return at::cat(images);
  }

  MetricValues ValuesByHand(const at::Tensor& images) const {
    const c10::InferenceMode no_gradients;
    const Extraction extraction = LoadFeatureExtractor(options_.extractor)->Extract(images);
    const at::Tensor reference = ReadSafetensors(options_.reference).at("features");
    const auto gaussian = [](const at::Tensor& features) {
      const at::Tensor x = features.to(at::kDouble);
      return GaussianStatistics{x.mean(0), at::cov(x.t())};
    };
    const MeanStd inception = InceptionScore(extraction.logits);
    const PrecisionRecall shares = ImprovedPrecisionRecall(extraction.features, reference);
    const at::Tensor wish = at::arange(images.size(0), at::kLong).remainder(7) * 4 + 1;  // (2 j) + (2 j + 1)
    return {{"fid", FrechetDistance(gaussian(extraction.features), gaussian(reference))},
            {"kid", KernelInceptionDistance(extraction.features, reference)},
            {"inception_score", inception.mean},
            {"inception_score_std", inception.std},
            {"precision", shares.precision},
            {"recall", shares.recall},
            {"f_score", shares.f_score},
            {"score_mean", (images.to(at::kDouble).mean({1, 2, 3}) + wish).mean().item<double>()}};
  }

  static void ExpectSameValues(const MetricValues& found, const MetricValues& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (const auto& [name, value] : expected) {
      ASSERT_TRUE(found.contains(name)) << name;
      EXPECT_NEAR(found.at(name), value, 1e-4 * std::abs(value) + 1e-6) << name;
    }
  }

  static MetricSet All() { return ParseMetrics({"fid", "kid", "is", "prc", "score"}, "test"); }

  TempFolder folder_;
  LocalCollective alone_;
  MeasuredModels models_;
  EvaluationOptions options_;
  std::shared_ptr<Denoiser> network_;
};

TEST_F(ScorerMetricsTest, EveryMetricIsThatOfTheSamples) {
  Scorer scorer(options_, All(), alone_);
  scorer.CheckFits(*network_);
  const Measurement measurement = scorer.MeasureNetwork(*network_);
  ASSERT_EQ(measurement.failure, "");
  const at::Tensor images = ImagesByHand();
  ExpectSameValues(measurement.values, ValuesByHand(images));
  ASSERT_EQ(measurement.image_scores.sizes(), at::IntArrayRef({60}));
  EXPECT_NEAR(measurement.image_scores[8].item<float>(), images[8].to(at::kFloat).mean().item<float>() + 2 + 3, 1e-3);
}

TEST_F(ScorerMetricsTest, GivenImagesAreMeasuredTheSame) {
  const at::Tensor images = TinyModels::RandomImages(45);
  const Measurement measurement = Scorer(options_, All(), alone_).MeasureImages(images);
  ASSERT_EQ(measurement.failure, "");
  ExpectSameValues(measurement.values, ValuesByHand(images));
}

// All pairs of 3000 reference rows beside those of 60 samples with each other and with the reference: 1 in 25.
TEST_F(ScorerMetricsTest, TheReferencesOwnPartIsNotComputedForEveryCandidate) {
  at::manual_seed(8);
  const at::Tensor reference = at::rand({3000, 6}), generated = at::rand({60, 6});
  WriteSafetensors(options_.reference, {{"features", reference}});
  Scorer scorer(options_, ParseMetrics({"kid", "prc"}, "test"), alone_);
  const auto start = std::chrono::steady_clock::now();
  KernelInceptionDistance(generated, reference);
  ImprovedPrecisionRecall(generated, reference);
  const double whole = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  double least = whole;
  for (int i = 0; i < 5; ++i) {
    StageSpans spans;
    scorer.Finish(*scorer.Draw(*network_, spans), spans);
    least = std::min(least, SumOf(spans).distance);
  }
  std::printf("distances %.4f s of %.4f s with the reference's own part\n", least, whole);
  EXPECT_LT(least, 0.3 * whole);
}

TEST_F(ScorerMetricsTest, TheScoreIsTheObjectivesSum) {
  options_.objective = "fid:0.5,kid:100,inception_score:2,precision:3,score:0.01";
  const Outcome outcome = Scorer(options_, alone_).ScoreNetwork(*network_);
  const MetricValues values = ValuesByHand(ImagesByHand());
  const double expected = 0.5 * values.at("fid") + 100 * values.at("kid") - 2 * values.at("inception_score") -
                          3 * values.at("precision") - 0.01 * values.at("score_mean");
  ASSERT_TRUE(outcome.score.has_value()) << outcome.failure;
  EXPECT_NEAR(*outcome.score, expected, 1e-4 * std::abs(expected));
  ExpectSameValues(outcome.metrics, values);
}

TEST_F(ScorerMetricsTest, OnlyWhatIsNeededMustBeThere) {
  options_.objective = "score";
  options_.extractor = options_.reference = "";
  const Outcome outcome = Scorer(options_, alone_).ScoreNetwork(*network_);
  ASSERT_TRUE(outcome.score.has_value()) << outcome.failure;
  EXPECT_NEAR(*outcome.score, -ImagesByHand().to(at::kDouble).mean().item<double>() - 756.0 / 60, 1e-3);
}

TEST_F(ScorerMetricsTest, StatisticsAloneServeFidAlone) {
  options_.reference = models_.reference_path();
  EXPECT_NO_THROW(Scorer(options_, ParseMetrics({"fid", "is"}, "test"), alone_));
  for (const char* metric : {"kid", "prc"}) {
    EXPECT_THAT(MessageOf<InputError>([&] { Scorer(options_, ParseMetrics({metric}, "test"), alone_); }),
                AllOf(HasSubstr("reference.npz"), HasSubstr("--keep-features")));
  }
}

TEST_F(ScorerMetricsTest, AReferenceOfAnotherDimensionIsRefused) {
  WriteSafetensors(options_.reference, {{"features", at::rand({20, 5})}});
  for (const char* metric : {"fid", "kid"}) {
    EXPECT_THAT(MessageOf<MetricError>([&] { Scorer(options_, ParseMetrics({metric}, "test"), alone_); }),
                AllOf(HasSubstr("expected statistics of 6 features"), HasSubstr("found 5")));
  }
}

TEST_F(ScorerMetricsTest, NonFiniteImagesAreAFailureOfAnyMetric) {
  NamedTensors weights = models_.Weights(1);
  weights.begin()->second.fill_(std::nanf(""));
  const auto broken = LoadDenoiser(models_.WriteCheckpoint("nan", weights, 1));
  for (const char* objective : {"fid", "kid", "inception_score", "recall", "score"}) {
    options_.objective = objective;
    const Outcome outcome = Scorer(options_, alone_).ScoreNetwork(*broken);
    EXPECT_FALSE(outcome.score.has_value()) << objective;
    EXPECT_THAT(outcome.failure, HasSubstr("non-finite images")) << objective;
  }
}

TEST_F(ScorerMetricsTest, ConditioningThatNobodyTakesIsRefusedBeforeTheSearch) {
  const auto refusal = [&](const MetricSet& metrics) {
    return MessageOf<InputError>([&] { Scorer(options_, metrics, alone_).CheckFits(*network_); });
  };
  WriteSafetensors(options_.conditioning, {{"wish", at::ones({3, 2})}, {"wihs", at::ones({3, 2})}});
  EXPECT_THAT(refusal(All()), AllOf(HasSubstr("conditioning.safetensors"), HasSubstr("tensor wihs"),
                                    HasSubstr("the network takes no conditioning, the scorer takes wish;")));
  const MetricSet fid = ParseMetrics({"fid"}, "test");
  EXPECT_NO_THROW(Scorer(options_, fid, alone_).CheckFits(*network_));  // it may be the scorer's, which is not asked
  options_.scorer = "";
  EXPECT_THAT(refusal(fid), AllOf(HasSubstr("tensor wihs"), HasSubstr("the network takes no conditioning;")));
}

TEST_F(ScorerMetricsTest, LabelsReachAScorerWhoseNetworkHasNoClassesAndGivenImages) {
  torch::jit::Module scorer("__torch__.Scorer");
  scorer.define(
      "def forward(self, images, class_labels):\n    return class_labels.matmul(torch.tensor([1.0, 10.0]))\n");
  scorer.save(options_.scorer);
  options_.objective = "score";
  WriteSafetensors(options_.conditioning, {{"labels", at::eye(2)}});
  const at::Tensor expected = at::tensor({1.0f, 10.0f}).repeat({30});
  Scorer measuring(options_, alone_);
  measuring.CheckFits(*network_);
  EXPECT_TRUE(measuring.MeasureNetwork(*network_).image_scores.equal(expected));
  EXPECT_TRUE(measuring.MeasureImages(TinyModels::RandomImages(60)).image_scores.equal(expected));
  WriteSafetensors(options_.conditioning, {{"labels", at::ones({2}, at::kLong)}});
  EXPECT_THAT(MessageOf<InputError>([&] { Scorer(options_, alone_).MeasureImages(TinyModels::RandomImages(60)); }),
              AllOf(HasSubstr("\"class_labels\""), HasSubstr("one-hot"), HasSubstr("evaluation.conditioning")));
}

TEST_F(ScorerMetricsTest, AnExtractorsReasonForRefusingImagesIsSaid) {
  torch::jit::Module extractor("__torch__.Extractor");
  extractor.define(
      "def forward(self, images):\n"
      "    assert images.size(2) != 8, \"images of 8 x 8 are too small for me\"\n"
      "    return images.float().mean([2, 3])\n");
  options_.extractor = folder_ / "extractor.ts.pt";
  extractor.save(options_.extractor);
  Scorer scorer(options_, ParseMetrics({"is"}, "test"), alone_);
  EXPECT_THAT(MessageOf<ConfigError>([&] { scorer.CheckFits(*network_); }),
              AllOf(HasSubstr("extractor.ts.pt"), HasSubstr("[1, 8, 8]"), HasSubstr("too small for me")));
}

TEST_F(ScorerMetricsTest, AScorerThatLacksItsInputIsRefusedBeforeTheSearch) {
  options_.objective = "score";
  options_.conditioning = "";
  Scorer scorer(options_, alone_);
  EXPECT_THAT(MessageOf<InputError>([&] { scorer.CheckFits(*network_); }),
              AllOf(HasSubstr("scorer.ts.pt"), HasSubstr("\"wish\""), HasSubstr("evaluation.conditioning")));
}

}  // namespace
}  // namespace lcsc
