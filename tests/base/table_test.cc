#include "lcsc/base/table.h"

#include <gtest/gtest.h>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

TEST(TableTest, PadsTextToTheRightAndNumbersToTheLeft) {
  Table table({"what", "FID"});
  table.AddRow({"best EMA", "10.5"});
  table.AddRow({"LCSC", "9.25"});
  EXPECT_EQ(table.ToString(),
            "what       FID\n"
            "--------  ----\n"
            "best EMA  10.5\n"
            "LCSC      9.25\n");
}

TEST(TableTest, AColumnWithOneWordIsText) {
  Table table({"value"});
  table.AddRow({"12345"});
  table.AddRow({"n/a"});
  EXPECT_EQ(table.ToString(), "value\n-----\n12345\nn/a\n");
}

TEST(TableTest, ARowOfAnotherLengthIsRefused) {
  Table table({"a", "b"});
  EXPECT_THROW(table.AddRow({"1"}), InvariantError);
}

}  // namespace
}  // namespace lcsc
