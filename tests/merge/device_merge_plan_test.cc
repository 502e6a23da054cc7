#include "device_merge_plan.h"

#include <gtest/gtest.h>

#include "device_merger.h"
#include "lcsc/base/error.h"

namespace lcsc {
namespace {

// 1000 columns lie in 1024; 99 rows of 2 bytes and a base: 202 bytes a column; 16 outs of two blocks: 128.
constexpr DeviceMergeNeed kNeed{.num_rows = 99, .num_columns = 1000, .delta_bytes = 2};
constexpr std::int64_t kCoefficients = 99 * 16 * 4;
constexpr std::int64_t kResident = 1024 * (202 + 128) + kCoefficients;

TEST(DeviceMergePlanTest, WhatFitsIsResident) {
  const DeviceMergePlan plan = PlanDeviceMerge(kNeed, kResident);
  EXPECT_TRUE(plan.is_resident);
  EXPECT_EQ(plan.block_columns, 1024);
  EXPECT_EQ(plan.device_bytes, kResident);
  EXPECT_EQ(plan.pinned_bytes, 0);
}

TEST(DeviceMergePlanTest, LongRowsComeBackInBlocks) {
  const DeviceMergePlan plan = PlanDeviceMerge({.num_rows = 1, .num_columns = 50'000'000, .delta_bytes = 4}, 1LL << 40);
  EXPECT_TRUE(plan.is_resident);
  EXPECT_EQ(plan.block_columns, 1 << 22);
  EXPECT_EQ(plan.device_bytes, 50'000'000LL * 8 + (128LL << 22) + 64);
}

TEST(DeviceMergePlanTest, WhatDoesNotFitIsStreamedInTwoBlocks) {
  const DeviceMergeNeed need{.num_rows = 99, .num_columns = 1'000'001, .delta_bytes = 2};
  constexpr std::int64_t kBlockBytes = 2 * (202 + 64);
  // One byte less than what 10048 columns need leaves 64 columns fewer.
  const std::int64_t bytes = 10'048 * kBlockBytes + kCoefficients;
  const DeviceMergePlan plan = PlanDeviceMerge(need, bytes);
  EXPECT_FALSE(plan.is_resident);
  EXPECT_EQ(plan.block_columns, 10'048);
  EXPECT_EQ(plan.device_bytes, bytes);
  EXPECT_EQ(plan.pinned_bytes, 1'000'001 * 202);
  EXPECT_EQ(PlanDeviceMerge(need, bytes - 1).block_columns, 9'984);
}

TEST(DeviceMergePlanTest, TooLittleIsRefusedNamingTheLeast) {
  const DeviceMergeNeed need{.num_rows = 99, .num_columns = 1'000'001, .delta_bytes = 2};
  constexpr std::int64_t kLeast = 4096 * 2 * (202 + 64) + kCoefficients;
  EXPECT_EQ(PlanDeviceMerge(need, kLeast).block_columns, 4096);
  try {
    PlanDeviceMerge(need, kLeast - 1);
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find(std::to_string(kLeast)), std::string::npos) << error.what();
  }
}

TEST(DeviceMergerTest, AGpuThatIsNotThereIsRefusedInWords) {
  const Shard shard{{0, 4}, StorageType::kFloat32, at::zeros({4}), at::zeros({1, 4})};
  try {
    MakeDeviceMerger(shard, {.device = 1000});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("merge on the CPU"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace lcsc
