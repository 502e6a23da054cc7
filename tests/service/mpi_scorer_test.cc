// A group measures what one rank alone measures, whatever its size.
#include <gtest/gtest.h>

#include "lcsc/comm/group.h"
#include "lcsc/service/scorer.h"
#include "mpi_world.h"
#include "service/measured_models.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

class GroupScorerTest : public ::testing::Test {
 protected:
  // Every rank has files of its own, made from the same seeds.
  GroupScorerTest() : models_(folder_.path()), options_(models_.Options()), group_(JoinWorld(TestWorld())) {
    options_.num_samples = 58;
    options_.batch_size = 7;
  }
  std::shared_ptr<Denoiser> Network(float broken_value = 0) const {
    NamedTensors weights = models_.Weights(1);
    if (broken_value != 0) weights.begin()->second.fill_(broken_value);
    return LoadDenoiser(models_.WriteCheckpoint("a", weights, 1));
  }

  TempFolder folder_;
  MeasuredModels models_;
  EvaluationOptions options_;
  std::unique_ptr<Collective> group_;
};

TEST_F(GroupScorerTest, EveryMetricIsThatOfOneRankAlone) {
  const MetricSet metrics = ParseMetrics({"fid", "kid", "is", "prc", "score"}, "test");
  const auto network = Network();
  LocalCollective alone;
  const Measurement expected = Scorer(options_, metrics, alone).MeasureNetwork(*network);
  ASSERT_EQ(expected.failure, "");
  const Measurement found = Scorer(options_, metrics, *group_).MeasureNetwork(*network);
  if (!group_->IsLeader()) {
    EXPECT_TRUE(found.values.empty());
    return;
  }
  ASSERT_EQ(found.values.size(), 8u);
  for (const auto& [name, value] : expected.values) {
    if (name == "fid") {
      EXPECT_NEAR(found.values.at(name), value, 1e-6 * value);
    } else {
      EXPECT_EQ(found.values.at(name), value) << name;
    }
  }
  EXPECT_TRUE(found.image_scores.equal(expected.image_scores));
  EXPECT_NE(found.image_scores[0].item<float>(), found.image_scores[57].item<float>());
}

TEST_F(GroupScorerTest, NonFiniteImagesOfOneRankFailTheCandidateAndNotTheGroup) {
  options_.objective = "fid:1,kid:10";
  const bool is_last = group_->group_rank() == group_->group_size() - 1;
  const auto network = Network(is_last ? std::numeric_limits<float>::quiet_NaN() : 0);
  const Outcome outcome = Scorer(options_, *group_).ScoreNetwork(*network);
  EXPECT_FALSE(outcome.score.has_value());
  EXPECT_EQ(outcome.failure, group_->IsLeader() ? "non-finite images" : "");
}

}  // namespace
}  // namespace lcsc
