#include "lcsc/comm/watchdog.h"

#include <gtest/gtest.h>

#include "lcsc/base/error.h"
#include "lcsc/comm/heartbeat.h"

namespace lcsc {
namespace {

// Two groups of two ranks: 1, 2 and 3, 4.
WatchdogOptions Options(double hang_timeout_s = 0, double heartbeat_interval_s = 1) {
  return {.layout = {.num_groups = 2, .group_size = 2, .group_of = {-1, 0, 0, 1, 1}, .leaders = {1, 3}},
          .hang_timeout_s = hang_timeout_s,
          .heartbeat_interval_s = heartbeat_interval_s};
}

class WatchdogTest : public ::testing::Test {
 protected:
  // Lets seconds pass in which these ranks are heard and move on, and those are heard and do not.
  void Pass(Watchdog& watchdog, int seconds, const std::vector<int>& moving, const std::vector<int>& stuck = {}) {
    for (int i = 0; i < seconds; ++i) {
      watchdog.Advance(++now_s_);
      for (const int rank : moving) watchdog.Heard(rank, ++steps_);
      for (const int rank : stuck) watchdog.Heard(rank, 1'000'000);
    }
  }

  double now_s_ = 1000;
  std::uint64_t steps_ = 0;
};

TEST_F(WatchdogTest, TheBoundFollowsTheMeasuredEvaluations) {
  Watchdog watchdog(Options());
  watchdog.Advance(now_s_);
  watchdog.Submitted(0);
  EXPECT_EQ(watchdog.GroupBound(), 3600);
  Pass(watchdog, 2, {1, 2});
  watchdog.Answered(0);
  EXPECT_EQ(watchdog.GroupBound(), 60) << "ten times 2 s is less than a minute";
  watchdog.Submitted(1);
  watchdog.Submitted(1);
  Pass(watchdog, 30, {1, 2, 3, 4});
  watchdog.Answered(1);
  EXPECT_EQ(watchdog.GroupBound(), 300);
  Pass(watchdog, 7, {1, 2, 3, 4});
  watchdog.Answered(1);
  EXPECT_EQ(watchdog.GroupBound(), 300) << "the longest counts";
  EXPECT_EQ(Watchdog(Options(5)).GroupBound(), 5);
}

TEST_F(WatchdogTest, AGroupThatMovesIsNotSilentHoweverLongItTakes) {
  Watchdog watchdog(Options(5));
  watchdog.Advance(now_s_);
  watchdog.Submitted(0);
  Pass(watchdog, 100, {1}, {2, 3, 4});
  EXPECT_FALSE(watchdog.Find().has_value());
}

TEST_F(WatchdogTest, AGroupThatIsHeardAndDoesNotMoveIsSilent) {
  Watchdog watchdog(Options(5));
  watchdog.Advance(now_s_);
  Pass(watchdog, 20, {}, {1, 2, 3, 4});
  EXPECT_FALSE(watchdog.Find().has_value()) << "without work";
  watchdog.Submitted(1);
  Pass(watchdog, 5, {}, {1, 2, 3, 4});
  EXPECT_FALSE(watchdog.Find().has_value());
  Pass(watchdog, 1, {}, {1, 2, 3, 4});
  const auto silence = watchdog.Find();
  ASSERT_TRUE(silence.has_value());
  EXPECT_EQ(silence->group, 1);
  EXPECT_FALSE(silence->world_rank.has_value());
  EXPECT_EQ(silence->seconds, 6);
  EXPECT_EQ(silence->bound_s, 5);
  watchdog.Answered(1);
  EXPECT_FALSE(watchdog.Find().has_value()) << "it was only slow";
}

TEST_F(WatchdogTest, ARankThatIsNotHeardIsSilentEvenWithoutWork) {
  Watchdog watchdog(Options());
  watchdog.Advance(now_s_);
  Pass(watchdog, 30, {1, 2, 3});
  EXPECT_FALSE(watchdog.Find().has_value());
  Pass(watchdog, 1, {1, 2, 3});
  const auto silence = watchdog.Find();
  ASSERT_TRUE(silence.has_value());
  EXPECT_EQ(silence->group, 1);
  EXPECT_EQ(silence->world_rank, 4);
  EXPECT_EQ(silence->seconds, 31);
  EXPECT_EQ(silence->bound_s, 30);
}

TEST_F(WatchdogTest, HeartbeatsThatAreRareAreWaitedFor) {
  EXPECT_EQ(Watchdog(Options(0, 1)).HeartbeatBound(), 30);
  EXPECT_EQ(Watchdog(Options(0, 8)).HeartbeatBound(), 40);
  EXPECT_EQ(Watchdog(Options(5, 1)).HeartbeatBound(), 5);
  EXPECT_EQ(Watchdog(Options(1, 1)).HeartbeatBound(), 3);
  EXPECT_EQ(Watchdog(Options(1000, 1)).HeartbeatBound(), 30);
}

TEST_F(WatchdogTest, WithoutHeartbeatsOnlyOutcomesCount) {
  Watchdog watchdog(Options(5, 0));
  watchdog.Advance(now_s_);
  Pass(watchdog, 100, {});
  EXPECT_FALSE(watchdog.Find().has_value());
  watchdog.Submitted(0);
  Pass(watchdog, 6, {});
  ASSERT_TRUE(watchdog.Find().has_value());
  EXPECT_EQ(watchdog.Find()->group, 0);
}

TEST_F(WatchdogTest, WhileTheMasterItselfWaitsNobodyIsToBlame) {
  Watchdog watchdog(Options(5));
  watchdog.Advance(now_s_);
  watchdog.Submitted(0);
  Pass(watchdog, 3, {}, {1, 2, 3, 4});
  now_s_ += 500;  // in which a disk did not answer
  Pass(watchdog, 1, {}, {1, 2, 3, 4});
  EXPECT_FALSE(watchdog.Find().has_value());
  Pass(watchdog, 3, {}, {1, 2, 3, 4});
  EXPECT_TRUE(watchdog.Find().has_value());
}

TEST(HeartbeatTest, ArrivesAsItWasSent) {
  const Heartbeat sent{
      .host = "n1", .pid = 123, .candidate_id = 17, .stage = "sample", .stage_seconds = 1.5, .steps = 1ull << 40};
  const std::vector<std::byte> bytes = PackHeartbeat(sent);
  const Heartbeat received = UnpackHeartbeat(bytes);
  EXPECT_EQ(received.host, "n1");
  EXPECT_EQ(received.pid, 123);
  EXPECT_EQ(received.candidate_id, 17);
  EXPECT_EQ(received.stage, "sample");
  EXPECT_EQ(received.stage_seconds, 1.5);
  EXPECT_EQ(received.steps, 1ull << 40);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW(UnpackHeartbeat({bytes.data(), size}), InvariantError) << size;
  }
}

TEST(HeartbeatTest, SaysWhatTheProcessDoes) {
  const StageScope scope("reduce", 5);
  const Heartbeat own = OwnHeartbeat();
  EXPECT_EQ(own.candidate_id, 5);
  EXPECT_EQ(own.stage, "reduce");
  EXPECT_GT(own.pid, 0);
  EXPECT_GT(own.steps, 0u);
}

TEST(HeartbeatTest, ThousandsOfRanksSendFewerEach) {
  EXPECT_EQ(HeartbeatInterval(2), 1);
  EXPECT_EQ(HeartbeatInterval(500), 1);
  EXPECT_EQ(HeartbeatInterval(4000), 8);
}

}  // namespace
}  // namespace lcsc
