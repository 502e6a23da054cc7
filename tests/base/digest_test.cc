#include "lcsc/base/digest.h"

#include <gmock/gmock.h>

#include "lcsc/base/error.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using ::testing::HasSubstr;

// The published XXH3 128 of the empty input (xxHash's own `xxhsum -H2`), seed 0.
constexpr const char* kOfNothing = "99aa06d3014798d86001c324468d497f";

TEST(DigestTest, GivesTheKnownAnswerForNothing) {
  EXPECT_EQ(DigestOf(""), kOfNothing);
  EXPECT_EQ(Digest().Hex(), kOfNothing);
}

TEST(DigestTest, ThePartsOfAnInputGiveTheDigestOfTheWhole) {
  const std::string text(10'000, 'x');
  Digest digest;
  digest.Update(std::string_view(text).substr(0, 17));
  digest.Update(std::as_bytes(std::span(text)).subspan(17));
  EXPECT_EQ(digest.Hex(), DigestOf(text));
}

TEST(DigestTest, OneBitChangesIt) { EXPECT_NE(DigestOf("a"), DigestOf("c")); }

TEST(DigestTest, AFileHasTheDigestOfItsContent) {
  const TempFolder folder;
  std::string bytes((1 << 20) + 3, '\0');  // more than one read
  bytes.back() = 1;
  WriteBytes(folder / "x", bytes);
  EXPECT_EQ(DigestOfFile(folder / "x"), DigestOf(bytes));
  WriteBytes(folder / "empty", "");
  EXPECT_EQ(DigestOfFile(folder / "empty"), kOfNothing);
}

TEST(DigestTest, AMissingFileIsNamed) {
  EXPECT_THAT(MessageOf<InputError>([] { DigestOfFile("/nowhere/x"); }), HasSubstr("/nowhere/x"));
}

}  // namespace
}  // namespace lcsc
