#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "lcsc/base/error.h"
#include "lcsc/comm/group.h"
#include "lcsc/comm/message.h"
#include "mpi_world.h"

namespace lcsc {
namespace {

TEST(MpiCollectiveTest, AllGatherGivesEveryRankTheWhole) {
  const auto group = JoinWorld(TestWorld());
  const auto parts = SplitEvenly(1001, group->group_size());
  std::vector<float> whole(1001, -1);
  const Part own = parts[static_cast<std::size_t>(group->group_rank())];
  for (std::int64_t i = own.begin; i < own.end; ++i)
    whole[static_cast<std::size_t>(i)] = std::sin(static_cast<float>(i));
  group->AllGather(whole, parts);
  for (std::size_t i = 0; i < whole.size(); ++i) ASSERT_EQ(whole[i], std::sin(static_cast<float>(i))) << i;
}

TEST(MpiCollectiveTest, ReduceSumsOnTheLeaderAlone) {
  const auto group = JoinWorld(TestWorld());
  const int size = group->group_size(), rank = group->group_rank();
  std::vector<double> values = {rank + 1.0, 10.0 * (rank + 1), -0.5};
  const std::vector<double> before = values;
  group->ReduceToLeader(values);
  const double triangle = size * (size + 1) / 2.0;
  EXPECT_EQ(values, group->IsLeader() ? (std::vector<double>{triangle, 10 * triangle, -0.5 * size}) : before);
}

TEST(MpiCollectiveTest, BroadcastCarriesTheLength) {
  const auto group = JoinWorld(TestWorld());
  std::vector<std::byte> bytes(group->IsLeader() ? 5000 : 3, group->IsLeader() ? std::byte{7} : std::byte{1});
  group->BroadcastFromLeader(bytes);
  EXPECT_EQ(bytes, std::vector<std::byte>(5000, std::byte{7}));
  if (group->IsLeader()) bytes.clear();
  group->BroadcastFromLeader(bytes);
  EXPECT_TRUE(bytes.empty());
}

TEST(JoinGroupTest, WorkersFormGroupsOfNeighbours) {
  const World& world = TestWorld();
  const GroupLayout layout = PlanGroups(world, world.world_size - 1);
  const auto group = JoinGroup(world, layout);
  if (world.world_rank == 0) {
    EXPECT_EQ(group, nullptr);
    return;
  }
  ASSERT_NE(group, nullptr);
  EXPECT_EQ(group->group_size(), world.world_size - 1);
  EXPECT_EQ(group->group_rank(), world.world_rank - 1);
}

TEST(MailboxTest, MessagesArriveInOrderFromEveryRank) {
  const World& world = TestWorld();
  constexpr int kMessages = 50;
  Mailbox mailbox;
  if (world.world_rank != 0) {
    for (int i = 0; i < kMessages; ++i) {
      mailbox.Send(0, MessageTag::kOutcome, std::vector<std::byte>(20000, static_cast<std::byte>(i)));
    }
    mailbox.Flush();
  } else {
    std::vector<int> next(static_cast<std::size_t>(world.world_size));
    for (int i = 0; i < kMessages * (world.world_size - 1); ++i) {
      const auto received = mailbox.Receive(Mailbox::kAnyRank, MessageTag::kOutcome, 20);
      ASSERT_TRUE(received.has_value());
      const auto from = static_cast<std::size_t>(received->from_rank);
      EXPECT_EQ(received->bytes, std::vector<std::byte>(20000, static_cast<std::byte>(next[from]++)));
    }
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

TEST(MailboxTest, ReceivingGivesUpAfterTheTimeout) {
  Mailbox mailbox;
  EXPECT_FALSE(mailbox.Receive(Mailbox::kAnyRank, MessageTag::kCandidate, 0.01).has_value());
}

TEST(AgreeOnSetUpTest, OneRanksErrorIsThrownByAll) {
  const World& world = TestWorld();
  const int culprit = world.world_size - 1;
  try {
    AgreeOnSetUp(world, [&] {
      if (world.world_rank == culprit) throw ConfigError("rank {} has no file", culprit);
    });
    FAIL();
  } catch (const SetUpError& error) {
    EXPECT_EQ(error.what(), "rank " + std::to_string(culprit) + " has no file");
    EXPECT_EQ(error.exit_code(), ExitCode::kBadInput);
  }
  AgreeOnSetUp(world, [] {});
}

TEST(CheckMpiTest, AnErrorNamesTheCallAndTheRank) {
  try {
    LCSC_MPI_CHECK(MPI_Send(nullptr, 1, MPI_INT, 9999, 0, MPI_COMM_WORLD));
    FAIL();
  } catch (const CommError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("MPI_Send"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("rank " + std::to_string(TestWorld().world_rank)));
  }
}

}  // namespace
}  // namespace lcsc
