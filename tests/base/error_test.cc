#include "lcsc/base/error.h"

#include <gmock/gmock.h>

#include "support/temp_folder.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(ErrorTest, TheExitCodeTellsWhoCanMendIt) {
  EXPECT_EQ(ConfigError("x").exit_code(), ExitCode::kBadInput);
  EXPECT_EQ(InputError("x").exit_code(), ExitCode::kBadInput);
  EXPECT_EQ(MetricError("x").exit_code(), ExitCode::kBadInput);
  EXPECT_EQ(IoError("x").exit_code(), ExitCode::kFailed);
  EXPECT_EQ(DeviceError("x").exit_code(), ExitCode::kFailed);
  EXPECT_EQ(CommError("x").exit_code(), ExitCode::kFailed);
}

TEST(ErrorTest, AMessageWithoutArgumentsMayHoldBraces) {
  EXPECT_STREQ(InputError(std::string("{\"a\": 1}")).what(), "{\"a\": 1}");
  EXPECT_STREQ(InputError("{}: expected {}", "key", 3).what(), "key: expected 3");
}

TEST(ErrorTest, ABrokenInvariantNamesItsExpressionAndPlace) {
  EXPECT_NO_THROW(LCSC_CHECK(1 + 1 == 2));
  EXPECT_THAT(MessageOf<InvariantError>([] { LCSC_CHECK(1 + 1 == 3); }),
              AllOf(HasSubstr("1 + 1 == 3"), HasSubstr("error_test.cc")));
}

}  // namespace
}  // namespace lcsc
