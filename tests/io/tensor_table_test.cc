#include "lcsc/io/tensor_table.h"

#include <gmock/gmock.h>

#include "lcsc/base/error.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using ::testing::HasSubstr;

TEST(TensorTableTest, SortsByNameAndLaysTensorsOneBehindTheOther) {
  const TensorTable table({{.name = "b", .shape = {2, 3}}, {.name = "a", .shape = {}}, {.name = "c", .shape = {5}}});
  ASSERT_EQ(table.entries().size(), 3u);
  EXPECT_EQ(table.entries()[0].name, "a");
  EXPECT_EQ(table.entries()[0].offset, 0);
  EXPECT_EQ(table.entries()[1].offset, 1);
  EXPECT_EQ(table.entries()[2].offset, 7);
  EXPECT_EQ(table.num_elements(), 12);
}

TEST(TensorTableTest, ATensorWithAnEmptyDimensionHasNoElements) {
  EXPECT_EQ((TensorEntry{.name = "x", .shape = {3, 0, 2}}).num_elements(), 0);
}

TEST(DataTypeTest, NamesAndSizesAreThoseOfTheFormat) {
  EXPECT_EQ(DataTypeFromName("BF16"), DataType::kBFloat16);
  EXPECT_STREQ(DataTypeName(DataType::kBool), "BOOL");
  EXPECT_EQ(BytesPerElement(DataType::kFloat64), 8);
  EXPECT_EQ(BytesPerElement(DataType::kFloat16), 2);
  EXPECT_TRUE(IsFloatingPoint(DataType::kBFloat16));
  EXPECT_FALSE(IsFloatingPoint(DataType::kInt64));
}

TEST(DataTypeTest, AnUnknownNameIsRefusedWithTheKnownOnes) {
  const std::string message = MessageOf<InputError>([] { DataTypeFromName("F8_E4M3"); });
  EXPECT_THAT(message, HasSubstr("F8_E4M3"));
  EXPECT_THAT(message, HasSubstr("BF16"));
}

TEST(ShapeTextTest, PrintsLikeAPythonList) {
  EXPECT_EQ(ShapeText({64, 3, 3}), "[64, 3, 3]");
  EXPECT_EQ(ShapeText({}), "[]");
}

}  // namespace
}  // namespace lcsc
