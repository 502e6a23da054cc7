// A group differentiates as one rank alone does, whatever its size.
#include <gtest/gtest.h>

#include <cmath>

#include "lcsc/comm/group.h"
#include "mpi_world.h"
#include "service/trajectory_models.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

class GroupGradientTest : public ::testing::Test {
 protected:
  // Every rank has files of its own, made from the same seeds.
  GroupGradientTest() : models_(folder_.path()), options_(models_.Options()), group_(JoinWorld(TestWorld())) {
    options_.objective = "fid:1,kid:10";
    options_.num_samples = 58;
    options_.batch_size = 7;
  }

  TempFolder folder_;
  TrajectoryModels models_;
  EvaluationOptions options_;
  LocalCollective alone_;
  std::unique_ptr<Collective> group_;
};

TEST_F(GroupGradientTest, IsThatOfOneRankAlone) {
  const Candidate candidate = TrajectoryModels::Somewhere();
  const Outcome expected = CandidateEvaluator(options_, alone_, WithGradients()).Evaluate(candidate);
  ASSERT_TRUE(expected.score) << expected.failure;
  const Outcome found = CandidateEvaluator(options_, *group_, WithGradients()).Evaluate(candidate);
  if (!group_->IsLeader()) {
    EXPECT_TRUE(found.gradient.empty());
    return;
  }
  EXPECT_NEAR(*found.score, *expected.score, 1e-6 * *expected.score);
  ASSERT_EQ(found.gradient.size(), 4u);
  double norm = 0;
  for (const double slope : expected.gradient) norm = std::hypot(norm, slope);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(found.gradient[i], expected.gradient[i], 1e-6 * norm);
}

TEST_F(GroupGradientTest, OfNonFiniteImagesThereIsNone) {
  Candidate candidate = TrajectoryModels::Somewhere();
  candidate.coefficients[2] = 1e38;
  const Outcome outcome = CandidateEvaluator(options_, *group_, WithGradients()).Evaluate(candidate);
  EXPECT_FALSE(outcome.score);
  EXPECT_TRUE(outcome.gradient.empty());
  EXPECT_EQ(outcome.failure, group_->IsLeader() ? "non-finite images" : "");
}

}  // namespace
}  // namespace lcsc
