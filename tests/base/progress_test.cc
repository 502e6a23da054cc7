#include "lcsc/base/progress.h"

#include <gmock/gmock.h>

namespace lcsc {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(FormatDurationTest, ChoosesTheUnitAPersonWould) {
  EXPECT_EQ(FormatDuration(0), "0.0s");
  EXPECT_EQ(FormatDuration(4.24), "4.2s");
  EXPECT_EQ(FormatDuration(59.5), "59.5s");
  EXPECT_EQ(FormatDuration(187), "3m07s");
  EXPECT_EQ(FormatDuration(3599.4), "59m59s");
  EXPECT_EQ(FormatDuration(3720), "1h02m");
  EXPECT_EQ(FormatDuration(100 * 3600), "100h00m");
}

TEST(FormatDurationTest, NeverPrintsSixtySeconds) { EXPECT_EQ(FormatDuration(59.96), "1m00s"); }

TEST(FormatBytesTest, ChoosesTheUnitAPersonWould) {
  EXPECT_EQ(FormatBytes(17), "17 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(12 * 1024), "12.0 KiB");
  EXPECT_EQ(FormatBytes(1.5 * (1 << 30)), "1.5 GiB");
  EXPECT_EQ(FormatBytes(0x1p50), "1024.0 TiB");
}

TEST(ProgressTest, EndsWithOneLineThatTellsAll) {
  testing::internal::CaptureStderr();
  {
    Progress progress({.title = "packing", .unit = "files", .total = 4});
    progress.Update(3, "step 30");
    progress.Update(4, "step 40");
    progress.Finish();
    progress.Finish();
  }
  const std::string output = testing::internal::GetCapturedStderr();
  EXPECT_THAT(output, HasSubstr("packing 100%  4/4 files"));
  EXPECT_THAT(output, HasSubstr("step 40"));
  EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 1);
}

TEST(ProgressTest, IsSilentBetweenTwoPlainLines) {
  testing::internal::CaptureStderr();
  Progress progress({.title = "packing", .unit = "files", .total = 1000, .plain_interval_s = 1000});
  for (int i = 0; i < 1000; ++i) progress.Update(i);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), IsEmpty());
  testing::internal::CaptureStderr();
  progress.Finish();
  testing::internal::GetCapturedStderr();
}

}  // namespace
}  // namespace lcsc
