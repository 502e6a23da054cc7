// A group races as one rank alone does, whatever its size.
#include <gtest/gtest.h>

#include "lcsc/comm/group.h"
#include "lcsc/search/race.h"
#include "mpi_world.h"
#include "service/trajectory_models.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

class GroupRaceTest : public ::testing::Test {
 protected:
  // Every rank has files of its own, made from the same seeds. Twelve batches: looks after 2, 3 and 6, and no rank is
  // without rows in the end, though some are at the first look.
  GroupRaceTest() : models_(folder_.path()), options_(models_.Options()), group_(JoinWorld(TestWorld())) {
    options_.objective = "fid:1,kid:10";
    options_.num_samples = 58;
    options_.batch_size = 5;
  }

  Outcome Race(Collective& group, const Candidate& candidate) const {
    return CandidateEvaluator(options_, group, {.memory = {}, .races = true}).Evaluate(candidate);
  }

  TempFolder folder_;
  TrajectoryModels models_;
  EvaluationOptions options_;
  LocalCollective alone_;
  std::unique_ptr<Collective> group_;
};

Candidate Runner() {
  Candidate candidate = TrajectoryModels::Somewhere();
  candidate.wants_gradient = false;
  return candidate;
}

TEST_F(GroupRaceTest, LooksAndTheScoreAreThoseOfOneRankAlone) {
  const Outcome expected = Race(alone_, Runner()), found = Race(*group_, Runner());
  const Outcome plain = CandidateEvaluator(options_, alone_, {}).Evaluate(Runner());
  ASSERT_TRUE(expected.score) << expected.failure;
  EXPECT_NEAR(*expected.score, *plain.score, 1e-9 * std::abs(*plain.score));
  EXPECT_EQ(expected.metrics.size(), plain.metrics.size() + 3);
  if (!group_->IsLeader()) return;
  ASSERT_EQ(found.metrics.size(), expected.metrics.size());
  for (const auto& [name, value] : expected.metrics) {
    EXPECT_NEAR(found.metrics.at(name), value, 1e-6 * std::abs(value)) << name;
  }
}

TEST_F(GroupRaceTest, AllRanksStopAtTheBarThatIsNotReached) {
  for (const std::int64_t look : {10, 15, 30}) {
    Candidate candidate = Runner();
    candidate.bars[look] = -1e6;
    const Outcome found = Race(*group_, candidate);
    if (!group_->IsLeader()) continue;
    EXPECT_TRUE(IsStopped(found)) << found.failure;
    EXPECT_EQ(SamplesDrawn(found, options_.num_samples), look);
  }
}

TEST_F(GroupRaceTest, NonFiniteImagesAreAFailureAndNoLostRace) {
  Candidate candidate = Runner();
  candidate.coefficients[2] = 1e38;
  const Outcome outcome = Race(*group_, candidate);
  EXPECT_FALSE(outcome.score);
  EXPECT_EQ(outcome.failure, group_->IsLeader() ? "non-finite images" : "");
}

}  // namespace
}  // namespace lcsc
