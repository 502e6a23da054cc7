#include "lcsc/comm/collective_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "lcsc/base/error.h"
#include "lcsc/comm/group.h"

namespace lcsc {
namespace {

RankGpu Gpu(std::uint8_t id) { return {.nccl_is_built = true, .num_visible = 8, .device = id, .uuid = {id}}; }
RankGpu NoGpu() { return {.nccl_is_built = true, .num_visible = 2, .device = -1, .uuid = {}}; }
RankGpu NotBuilt() { return {}; }

std::string Refusal(const std::vector<RankGpu>& ranks) {
  try {
    ChooseCollective(CollectiveKind::kNccl, ranks);
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kBadInput);
    return error.what();
  }
  return "";
}

TEST(ChooseCollectiveTest, AutoTakesNcclWhenEveryRankHasItsOwnGpu) {
  const auto choose = [](const std::vector<RankGpu>& ranks) { return ChooseCollective(CollectiveKind::kAuto, ranks); };
  EXPECT_EQ(choose({Gpu(0), Gpu(1), Gpu(2)}), CollectiveKind::kNccl);
  EXPECT_EQ(choose({Gpu(0), Gpu(1), Gpu(0)}), CollectiveKind::kMpi) << "two ranks on one GPU";
  EXPECT_EQ(choose({Gpu(0), NoGpu()}), CollectiveKind::kMpi);
  EXPECT_EQ(choose({NoGpu(), NoGpu()}), CollectiveKind::kMpi);
  EXPECT_EQ(choose({NotBuilt(), NotBuilt()}), CollectiveKind::kMpi);
  EXPECT_EQ(choose({Gpu(0), NotBuilt()}), CollectiveKind::kMpi);
  EXPECT_EQ(choose({Gpu(0)}), CollectiveKind::kMpi) << "a group of one";
}

TEST(ChooseCollectiveTest, TheSameNumberOnTwoNodesIsTwoGpus) {
  RankGpu here = Gpu(0), there = Gpu(0);
  there.uuid = {9};
  EXPECT_EQ(ChooseCollective(CollectiveKind::kAuto, std::vector{here, there}), CollectiveKind::kNccl);
}

TEST(ChooseCollectiveTest, MpiIsAlwaysToBeHad) {
  EXPECT_EQ(ChooseCollective(CollectiveKind::kMpi, std::vector{Gpu(0), Gpu(1)}), CollectiveKind::kMpi);
  EXPECT_EQ(ChooseCollective(CollectiveKind::kMpi, std::vector{NotBuilt()}), CollectiveKind::kMpi);
}

TEST(ChooseCollectiveTest, NcclIsTakenOrRefusedInWords) {
  EXPECT_EQ(ChooseCollective(CollectiveKind::kNccl, std::vector{Gpu(3)}), CollectiveKind::kNccl);
  EXPECT_EQ(ChooseCollective(CollectiveKind::kNccl, std::vector{Gpu(3), Gpu(4)}), CollectiveKind::kNccl);
  EXPECT_THAT(Refusal({NotBuilt(), NotBuilt()}),
              ::testing::HasSubstr("run.collective = nccl: this lcsc was built without"));
  EXPECT_THAT(Refusal({Gpu(0), Gpu(1), NoGpu()}),
              ::testing::HasSubstr("found none for rank 2 of the group, which sees 2"));
  EXPECT_THAT(Refusal({Gpu(5), Gpu(1), Gpu(5)}), ::testing::HasSubstr("ranks 0 and 2 of the group have the same"));
}

TEST(DeviceOfRankTest, IsTheRanksOwnOrNone) {
  EXPECT_EQ(DeviceOfRank(0, 4), 0);
  EXPECT_EQ(DeviceOfRank(3, 4), 3);
  EXPECT_EQ(DeviceOfRank(4, 4), -1) << "GPUs are not shared by counting round";
  EXPECT_EQ(DeviceOfRank(5, 1), 0) << "the launcher shows each rank its own";
  EXPECT_EQ(DeviceOfRank(0, 0), -1);
}

TEST(NodeLocalWorkerTest, TheMasterIsNotCounted) {
  EXPECT_EQ(NodeLocalWorker({.world_rank = 1, .world_size = 5, .node = 0, .node_local_rank = 1}), 0);
  EXPECT_EQ(NodeLocalWorker({.world_rank = 4, .world_size = 5, .node = 3, .node_local_rank = 1}), 1);
  EXPECT_EQ(NodeLocalWorker({}), 0);
}

}  // namespace
}  // namespace lcsc
