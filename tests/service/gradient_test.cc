// The derivatives of a score with respect to its coefficients are its differences.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "lcsc/base/error.h"
#include "service/trajectory_models.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

struct Case {
  const char* name;
  const char* objective = "fid";
  const char* sampler = "consistency";
  std::vector<double> consistency_sigmas = {};
  std::int64_t num_samples = 60;
  double sigma_max = 80;
};

// Where a pixel is clipped, a difference sees a corner.
constexpr double kFewClipped = 0.5;

class GradientTest : public ::testing::TestWithParam<Case> {
 protected:
  GradientTest() : models_(folder_.path()), options_(models_.Options()) {}

  double Score(CandidateEvaluator& evaluator, Candidate candidate) const {
    candidate.wants_gradient = false;
    const Outcome outcome = evaluator.Evaluate(candidate);
    EXPECT_TRUE(outcome.score) << outcome.failure;
    EXPECT_TRUE(outcome.gradient.empty());
    return outcome.score.value_or(0);
  }

  // Central differences with Richardson's extrapolation.
  double Slope(CandidateEvaluator& evaluator, std::size_t i) const {
    const auto difference = [&](double h) {
      Candidate above = TrajectoryModels::Somewhere(), below = above;
      above.coefficients[i] += h;
      below.coefficients[i] -= h;
      return (Score(evaluator, above) - Score(evaluator, below)) / (2 * h);
    };
    constexpr double kStep = 4e-3;
    return (4 * difference(kStep / 2) - difference(kStep)) / 3;
  }

  TempFolder folder_;
  TrajectoryModels models_;
  EvaluationOptions options_;
  LocalCollective alone_;
};

TEST_P(GradientTest, IsTheDifferenceOfScores) {
  const Case& tested = GetParam();
  options_.objective = tested.objective;
  options_.sampler = tested.sampler;
  options_.consistency_sigmas = tested.consistency_sigmas;
  options_.num_samples = tested.num_samples;
  options_.sigma_max = tested.sigma_max;
  options_.steps = 4;
  CandidateEvaluator evaluator(options_, alone_, WithGradients());
  const Outcome outcome = evaluator.Evaluate(TrajectoryModels::Somewhere());
  ASSERT_TRUE(outcome.score) << outcome.failure;
  ASSERT_EQ(outcome.gradient.size(), 4u);
  EXPECT_EQ(outcome.gradient[0], 0);
  EXPECT_GT(outcome.seconds.backward, 0);
  EXPECT_DOUBLE_EQ(*outcome.score, Score(evaluator, TrajectoryModels::Somewhere()));
  double error = 0, norm = 0;
  for (std::size_t i = 1; i < 4; ++i) {
    const double slope = Slope(evaluator, i);
    error += (outcome.gradient[i] - slope) * (outcome.gradient[i] - slope);
    norm += slope * slope;
  }
  std::printf("%s: relative error %.2g of a gradient of norm %.3g\n", tested.name, std::sqrt(error / norm),
              std::sqrt(norm));
  EXPECT_LT(std::sqrt(error / norm), 1e-3);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, GradientTest,
    testing::Values(Case{.name = "FidOneStep"}, Case{.name = "FidTwoSteps", .consistency_sigmas = {0.8}},
                    Case{.name = "FidHeun", .sampler = "edm-heun", .sigma_max = kFewClipped},
                    Case{.name = "FidFewSamples", .num_samples = 5}, Case{.name = "KidOneStep", .objective = "kid"},
                    Case{.name = "KidHeun", .objective = "kid", .sampler = "edm-heun", .sigma_max = kFewClipped},
                    Case{.name = "KidFewSamples", .objective = "kid", .num_samples = 5},
                    Case{.name = "Both", .objective = "fid:1,kid:20"}),
    [](const auto& tested) { return std::string(tested.param.name); });

// The same without parameters.
class GradientEvaluatorTest : public GradientTest {};

// The step of a descent begins where the score of its own images begins, whatever is rounded.
TEST_F(GradientEvaluatorTest, OfQuantisedImagesIsNearThatOfUnquantisedOnes) {
  const Outcome exact = CandidateEvaluator(options_, alone_, WithGradients()).Evaluate(TrajectoryModels::Somewhere());
  options_.quantisation = "openai";
  CandidateEvaluator quantised(options_, alone_, WithGradients());
  const Outcome rounded = quantised.Evaluate(TrajectoryModels::Somewhere());
  for (std::size_t i = 1; i < 4; ++i)
    EXPECT_NEAR(rounded.gradient[i], exact.gradient[i], 0.1 * std::abs(exact.gradient[i]) + 0.1);
  CandidateEvaluator plain(options_, alone_, {});
  EXPECT_DOUBLE_EQ(*rounded.score, Score(plain, TrajectoryModels::Somewhere()));
}

TEST_F(GradientEvaluatorTest, NoiseBlocksAreOtherNoise) {
  CandidateEvaluator evaluator(options_, alone_, WithGradients());
  Candidate candidate = TrajectoryModels::Somewhere();
  const double first = Score(evaluator, candidate);
  candidate.noise_block = 1;
  const double second = Score(evaluator, candidate);
  EXPECT_NE(first, second);
  candidate.noise_block = 0;
  EXPECT_EQ(Score(evaluator, candidate), first);
}

// The turns of one in three batches, the last of which is a smaller one, together are the whole.
TEST_F(GradientEvaluatorTest, OfSomeBatchesInTheirTurnIsOnAverageThatOfAll) {
  options_.num_samples = 58;
  options_.batch_size = 10;
  const Outcome whole = CandidateEvaluator(options_, alone_, WithGradients()).Evaluate(TrajectoryModels::Somewhere());
  CandidateEvaluator some(options_, alone_, {.memory = {}, .gradients = true, .backward_every = 3});
  std::vector<double> sum(4);
  for (std::int64_t turn = 0; turn < 3; ++turn) {
    Candidate candidate = TrajectoryModels::Somewhere();
    candidate.generation = turn + 1;
    const Outcome part = some.Evaluate(candidate);
    EXPECT_EQ(*part.score, *whole.score);
    const double share = turn == 2 ? 18.0 / 58 : 20.0 / 58;
    for (std::size_t i = 1; i < 4; ++i) {
      sum[i] += share * part.gradient[i];
      EXPECT_GT(std::abs(part.gradient[i] - whole.gradient[i]), 1e-6 * std::abs(whole.gradient[i]));
    }
  }
  for (std::size_t i = 1; i < 4; ++i) EXPECT_NEAR(sum[i], whole.gradient[i], 1e-5 * std::abs(whole.gradient[i]));
}

// Two blocks take turns: each is gone back through whole, whatever the two numbers have in common.
TEST_F(GradientEvaluatorTest, EveryBatchOfEveryBlockHasItsTurn) {
  options_.num_samples = 40;
  options_.batch_size = 10;
  EvaluatorLimits limits = WithGradients();
  limits.backward_every = limits.noise_blocks = 2;
  CandidateEvaluator some(options_, alone_, limits);
  std::map<std::int64_t, std::set<double>> slopes;
  for (std::int64_t t = 0; t < 8; ++t) {
    Candidate candidate = TrajectoryModels::Somewhere();
    candidate.generation = t + 1;
    candidate.noise_block = 1 + t % 2;
    slopes[candidate.noise_block].insert(some.Evaluate(candidate).gradient[1]);
  }
  EXPECT_EQ(slopes[1].size(), 2u);
  EXPECT_EQ(slopes[2].size(), 2u);
}

TEST_F(GradientEvaluatorTest, FewerBatchesThanOneInSoManyAreRefused) {
  EXPECT_THAT(MessageOf<ConfigError>([&] {
                CandidateEvaluator(options_, alone_, {.memory = {}, .gradients = true, .backward_every = 1000});
              }),
              testing::HasSubstr("search.backward_every: expected at most the "));
}

TEST_F(GradientEvaluatorTest, AStreamedShardProjectsTheSame) {
  const auto trajectory = ReadTrajectory(options_.trajectory);
  const auto merger = MakeWeightMerger(trajectory, {});
  const auto streamed = MakeWeightMerger(trajectory, {}, {.budget_bytes = 200'000});
  std::vector<double> gradient(static_cast<std::size_t>(merger->table().num_elements()));
  for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] = std::sin(static_cast<double>(i));
  const std::vector<double> expected = merger->Project(gradient), found = streamed->Project(gradient);
  ASSERT_EQ(expected.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(found[i], expected[i], 1e-12 * std::abs(expected[i]));
}

TEST_F(GradientEvaluatorTest, ObjectivesWithoutDerivativesAreRefused) {
  options_.objective = "fid:1,inception_score:1";
  EXPECT_THAT(MessageOf<ConfigError>([&] { CandidateEvaluator(options_, alone_, WithGradients()); }),
              testing::HasSubstr("gradients expect an objective of fid and kid"));
}

}  // namespace
}  // namespace lcsc
