#include "cbor_check.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace lcsc {
namespace {

using namespace std::string_literals;

constexpr int kLevels = 4;

std::string Repeated(const std::string& bytes, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += bytes;
  return text;
}

// Items of RFC 8949, appendix A.
TEST(CborCheckTest, DefiniteItemsOfEveryKindPass) {
  for (const std::string& item : {"\x00"s,
                                  "\x17"s,
                                  "\x18\x64"s,
                                  "\x1b\xff\xff\xff\xff\xff\xff\xff\xff"s,
                                  "\x20"s,
                                  "\x39\x03\xe7"s,
                                  "\xf9\x3c\x00"s,
                                  "\xfa\x47\xc3\x50\x00"s,
                                  "\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a"s,
                                  "\xf4"s,
                                  "\xf5"s,
                                  "\xf6"s,
                                  "\x40"s,
                                  "\x44\x01\x02\x03\x04"s,
                                  "\x60"s,
                                  "\x64IETF"s,
                                  "\x80"s,
                                  "\x83\x01\x02\x03"s,
                                  "\x83\x01\x82\x02\x03\x82\x04\x05"s,
                                  "\xa0"s,
                                  "\xa2\x61\x61\x01\x61\x62\x82\x02\x03"s}) {
    EXPECT_TRUE(IsBoundedCbor(item, kLevels)) << ::testing::PrintToString(item);
  }
}

TEST(CborCheckTest, WhatTheLibraryWritesPasses) {
  const nlohmann::json value = {{"n", -70000},
                                {"x", 0.1},
                                {"list", {1, 2.5, nullptr, true}},
                                {"text", std::string(300, 'a')},
                                {"none", {}},
                                {"map", {{"deep", {{"er", "\u00e9"}}}}},
                                {"bytes", nlohmann::json::binary(std::vector<std::uint8_t>(70000, 7))}};
  const std::vector<std::uint8_t> cbor = nlohmann::json::to_cbor(value);
  EXPECT_TRUE(IsBoundedCbor({reinterpret_cast<const char*>(cbor.data()), cbor.size()}, kLevels));
}

TEST(CborCheckTest, IndefiniteLengthsTagsAndUnknownFormsAreRefused) {
  for (const std::string& item :
       {"\x7f\x61\x61\xff"s, "\x5f\x41\x01\xff"s, "\x9f\x01\xff"s, "\xbf\x61\x61\x01\xff"s, "\xff"s, "\xc0\x61\x61"s,
        "\xc1\x01"s, "\xf7"s, "\xf0"s, "\xf8\xff"s, "\x1c"s, "\x7d"s, "\xfc"s}) {
    EXPECT_FALSE(IsBoundedCbor(item, kLevels)) << ::testing::PrintToString(item);
  }
}

TEST(CborCheckTest, LengthsBeyondTheEndAreRefused) {
  for (const std::string& item :
       {""s, "\x18"s, "\x1b\x01\x02"s, "\x42\x01"s, "\x63\x61\x62"s, "\x82\x01"s, "\xa1\x61\x61"s, "\xfb\x00"s,
        "\x5b\xff\xff\xff\xff\xff\xff\xff\xff"s, "\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x01"s,
        "\xbb\x7f\xff\xff\xff\xff\xff\xff\xff\x61\x61\x01"s}) {
    EXPECT_FALSE(IsBoundedCbor(item, kLevels)) << ::testing::PrintToString(item);
  }
}

TEST(CborCheckTest, MoreThanOneItemAndKeysThatAreNoTextsAreRefused) {
  EXPECT_FALSE(IsBoundedCbor("\x01\x02", kLevels));
  EXPECT_FALSE(IsBoundedCbor("\xa1\x01\x02", kLevels));
}

TEST(CborCheckTest, DepthIsBounded) {
  EXPECT_TRUE(IsBoundedCbor(Repeated("\x81", 4) + "\x01", kLevels));
  EXPECT_FALSE(IsBoundedCbor(Repeated("\x81", 5) + "\x01", kLevels));
  EXPECT_TRUE(IsBoundedCbor(Repeated("\xa1\x61\x61", 4) + "\x01", kLevels));
  EXPECT_FALSE(IsBoundedCbor(Repeated("\xa1\x61\x61", 5) + "\x01", kLevels));
  EXPECT_FALSE(IsBoundedCbor(Repeated("\x81", 1 << 20), kLevels));
}

}  // namespace
}  // namespace lcsc
