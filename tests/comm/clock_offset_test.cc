#include "lcsc/comm/clock_offset.h"

#include <gtest/gtest.h>

#include <cmath>

#include "mpi_world.h"

namespace lcsc {
namespace {

TEST(ClockOffsetTest, RanksOfOneMachineHaveOneClock) {
  const World& world = TestWorld();
  const auto offsets = MeasureClockOffsets(world);
  if (world.world_rank != 0) {
    EXPECT_TRUE(offsets.empty());
    return;
  }
  ASSERT_EQ(offsets.size(), static_cast<std::size_t>(world.world_size));
  for (const ClockOffset& offset : offsets) {
    EXPECT_LE(std::abs(offset.seconds), offset.uncertainty + 1e-3);
    EXPECT_LT(offset.uncertainty, 5);
  }
  EXPECT_GT(offsets.back().uncertainty, 0);
}

}  // namespace
}  // namespace lcsc
