#include "lcsc/service/rank_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lcsc/base/process.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class RankWatchTest : public ::testing::Test {
 protected:
  // Seconds pass in which these ranks say this.
  void Pass(int seconds, const std::map<int, Heartbeat>& heartbeats) {
    for (int i = 0; i < seconds; ++i) {
      watch_.Advance(++now_s_);
      for (const auto& [world_rank, heartbeat] : heartbeats) watch_.Hear(world_rank, heartbeat);
    }
  }
  static Heartbeat At(const std::string& stage, std::int64_t candidate_id, double seconds = 0) {
    return {
        .host = "n1", .pid = 123, .candidate_id = candidate_id, .stage = stage, .stage_seconds = seconds, .steps = 1};
  }

  double now_s_ = 0;
  // Groups of ranks 1, 2 and 3, 4.
  RankWatch watch_{{.layout = {.num_groups = 2, .group_size = 2, .group_of = {-1, 0, 0, 1, 1}, .leaders = {1, 3}},
                    .hang_timeout_s = 5,
                    .heartbeat_interval_s = 1}};
};

TEST_F(RankWatchTest, ASilentGroupIsToldByItsRanksTheSlowestFirst) {
  watch_.Submitted(1, 16);
  watch_.Submitted(1, 17);
  watch_.Submitted(1, 18);
  watch_.Answered(1, 16);
  const Heartbeat idle = At("idle", kNoCandidate);
  Pass(8, {{1, idle}, {2, idle}, {3, At("reduce", 17, 6)}, {4, At("sample", 17, 7)}});
  const auto hang = watch_.FindHang();
  ASSERT_TRUE(hang.has_value());
  EXPECT_EQ(hang->candidate_id, 17);
  EXPECT_THAT(hang->text, HasSubstr("group 1 has given no sign of life for 7 s (bound 5 s): rank 4 (n1, pid 123) in "
                                    "candidate 17, stage sample for 7.0 s, heard 0.0 s ago; rank 3 (n1, pid 123) in "
                                    "candidate 17, stage reduce for 6.0 s"));
  EXPECT_THAT(hang->text, AllOf(HasSubstr("it holds the candidates 17, 18:"), HasSubstr("run.hang_timeout_s")));
}

TEST_F(RankWatchTest, WhereRanksWaitForOthersNoCandidateIsToBlame) {
  watch_.Submitted(0, 17);
  const Heartbeat idle = At("idle", kNoCandidate);
  Pass(8, {{1, At("gather", 17)}, {2, At("merge", 17)}, {3, idle}, {4, idle}});
  const auto hang = watch_.FindHang();
  ASSERT_TRUE(hang.has_value());
  EXPECT_FALSE(hang->candidate_id.has_value());
}

TEST_F(RankWatchTest, ARankThatIsNotHeardIsNamedWithWhatItDidLast) {
  watch_.Submitted(1, 17);
  Pass(2, {{1, {}}, {2, {}}, {3, {}}, {4, At("sample", 17)}});
  Pass(6, {{1, {}}, {2, {}}, {3, {}}});
  const auto hang = watch_.FindHang();
  ASSERT_TRUE(hang.has_value());
  EXPECT_FALSE(hang->candidate_id.has_value());
  EXPECT_THAT(hang->text, HasSubstr("no heartbeat for 6 s (bound 5 s) from rank 4 (n1, pid 123), last heard in "
                                    "candidate 17, stage sample; group 1 holds the candidates 17:"));
}

TEST_F(RankWatchTest, ARankThatWasNeverHeardIsNamedToo) {
  Pass(7, {{1, {}}, {3, {}}, {4, {}}});
  const auto hang = watch_.FindHang();
  ASSERT_TRUE(hang.has_value());
  EXPECT_THAT(hang->text, HasSubstr("rank 2, which was never heard"));
}

TEST_F(RankWatchTest, ActivitiesAreThoseOfTheRanksThatWereHeard) {
  Pass(1, {{3, At("sample", 17, 1.5)}, {4, At("idle", kNoCandidate)}});
  const std::vector<RankActivity> activities = watch_.Activities();
  ASSERT_EQ(activities.size(), 2u);
  EXPECT_EQ(activities[0].group, 1);
  EXPECT_EQ(activities[0].world_rank, 3);
  EXPECT_EQ(activities[0].candidate_id, 17);
  EXPECT_GE(activities[0].stage_seconds, 1.5);
  EXPECT_EQ(activities[1].stage, "idle");
  EXPECT_FALSE(activities[1].candidate_id.has_value());
}

TEST_F(RankWatchTest, OnlyAProcessThatWasSeenHereCanBeGone) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  Heartbeat here = At("sample", 17);
  here.host = HostName();
  here.pid = child;
  Heartbeat elsewhere = here;
  elsewhere.host = "another-host";
  Heartbeat container = here;  // its process ids are not ours
  container.pid = 1 << 30;
  watch_.Submitted(0, 17);
  watch_.Submitted(0, 18);
  Pass(1, {{1, here}, {3, elsewhere}, {4, container}});
  EXPECT_EQ(watch_.DescribeGone(), "");
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  const std::string gone = watch_.DescribeGone();
  EXPECT_THAT(gone, AllOf(HasSubstr("rank 1 (" + HostName()), HasSubstr("is gone"), HasSubstr("candidate 17, stage "),
                          HasSubstr("its group held the candidates 17, 18")));
  EXPECT_EQ(gone.find("rank 3"), std::string::npos);
  EXPECT_EQ(gone.find("rank 4"), std::string::npos);
}

}  // namespace
}  // namespace lcsc
