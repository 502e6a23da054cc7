#include "lcsc/io/npz.h"

#include <gmock/gmock.h>

#include "lcsc/base/error.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Made by NumPy 1.24: np.savez(mu=[1.5, -2.25], sigma=..., f4=arange(3), ..., text="Fréchet 距離").
const std::filesystem::path kByNumpy = std::filesystem::path(LCSC_SOURCE_DIR) / "tests/data/numpy.npz";
// np.savez of arrays that are not read: Fortran order, object, big-endian, complex, record, uint32.
const std::filesystem::path kRefused = std::filesystem::path(LCSC_SOURCE_DIR) / "tests/data/numpy_refused.npz";

std::string RefusalOf(const std::string& name) {
  return MessageOf<InputError>([&] { ReadNpz(kRefused, {name}); });
}

TEST(NpzTest, ReadsWhatNumpyWrote) {
  auto arrays = ReadNpz(kByNumpy, {"mu", "sigma", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "b1", "empty"});
  EXPECT_TRUE(at::equal(arrays["mu"], at::tensor({1.5, -2.25}, at::kDouble)));
  EXPECT_TRUE(at::equal(arrays["sigma"], at::tensor({2.0, 0.5, 0.5, 1.0}, at::kDouble).reshape({2, 2})));
  EXPECT_TRUE(at::equal(arrays["f4"], at::tensor({0.f, 1.f, 2.f})));
  EXPECT_EQ(arrays["f2"].scalar_type(), at::kHalf);
  EXPECT_EQ(arrays["f2"][1].item<float>(), 65504.f);
  EXPECT_EQ(arrays["i8"][0][1].item<std::int64_t>(), std::int64_t{1} << 40);
  EXPECT_EQ(arrays["i4"].dim(), 0);
  EXPECT_EQ(arrays["i4"].item<int>(), 7);
  EXPECT_EQ(arrays["i2"].item<int>(), -3);
  EXPECT_EQ(arrays["i1"].item<int>(), -4);
  EXPECT_EQ(arrays["u1"].sizes(), (at::IntArrayRef{1, 1, 1}));
  EXPECT_EQ(arrays["u1"].item<int>(), 250);
  EXPECT_TRUE(arrays["b1"][0].item<bool>());
  EXPECT_FALSE(arrays["b1"][1].item<bool>());
  EXPECT_EQ(arrays["empty"].sizes(), (at::IntArrayRef{0, 3}));
}

TEST(NpzTest, ReadsWhatNumpyCompressed) {
  const auto path = std::filesystem::path(LCSC_SOURCE_DIR) / "tests/data/numpy_compressed.npz";
  EXPECT_TRUE(at::equal(ReadNpz(path, {"x"}).at("x"), at::arange(100, at::kDouble)));
}

TEST(NpzTest, ReadsAPythonString) {
  EXPECT_EQ(ReadNpzText(kByNumpy, "text"), "Fréchet 距離");
  EXPECT_EQ(ReadNpzText(kByNumpy, "absent"), "");
  EXPECT_THAT(MessageOf<InputError>([] { ReadNpzText(kByNumpy, "mu"); }), HasSubstr("expected one text"));
}

TEST(NpzTest, WhatItWritesItReads) {
  const TempFolder folder;
  const std::map<std::string, at::Tensor> arrays = {{"a", at::randn({3, 4}, at::kDouble)},
                                                    {"b", at::arange(5, at::kByte)},
                                                    {"scalar", at::full({}, 2.0)},
                                                    {"transposed", at::randn({2, 5}).t()}};
  WriteNpz(folder / "x.npz", arrays, {{"lcsc", "{\"n\": \"é\"}"}, {"none", ""}});
  EXPECT_THAT(ListNpz(folder / "x.npz"), ElementsAre("a", "b", "lcsc", "none", "scalar", "transposed"));
  for (const auto& [name, tensor] : ReadNpz(folder / "x.npz", {"a", "b", "scalar", "transposed"})) {
    EXPECT_TRUE(at::equal(tensor, arrays.at(name))) << name;
  }
  EXPECT_EQ(ReadNpzText(folder / "x.npz", "lcsc"), "{\"n\": \"é\"}");
  EXPECT_EQ(ReadNpzText(folder / "x.npz", "none"), "");
}

TEST(NpzTest, TheSameContentGivesTheSameBytes) {
  const TempFolder folder;
  for (const char* name : {"x.npz", "y.npz"}) WriteNpz(folder / name, {{"a", at::ones({4})}});
  EXPECT_EQ(ReadBytes(folder / "x.npz"), ReadBytes(folder / "y.npz"));
}

TEST(NpzTest, RefusesArraysThatItCannotTakeAsTheyAre) {
  EXPECT_THAT(RefusalOf("fortran"), HasSubstr("expected C order"));
  EXPECT_THAT(RefusalOf("object"), HasSubstr("'|O'"));
  EXPECT_THAT(RefusalOf("big"), HasSubstr("'>f8'"));
  EXPECT_THAT(RefusalOf("complex"), HasSubstr("'<c16'"));
  EXPECT_THAT(RefusalOf("u4"), HasSubstr("'<u4'"));
  EXPECT_THAT(RefusalOf("record"), HasSubstr("plain numbers"));
  EXPECT_THAT(RefusalOf("object"), AllOf(HasSubstr("numpy_refused.npz"), HasSubstr("\"object\"")));
}

TEST(NpzTest, AMissingArrayIsNamedWithThoseThatAreThere) {
  EXPECT_THAT(MessageOf<InputError>([] { ReadNpz(kRefused, {"mu"}); }),
              AllOf(HasSubstr("\"mu\""), HasSubstr("fortran")));
  EXPECT_THAT(MessageOf<InputError>([] { ReadNpz("/nowhere.npz", {"mu"}); }), HasSubstr("/nowhere.npz"));
}

TEST(NpzTest, AnArrayLargerThanTheLimitIsRefusedBeforeItIsRead) {
  EXPECT_THAT(MessageOf<InputError>([] { ReadNpz(kByNumpy, {"sigma"}, 31); }), HasSubstr("at most 31 bytes"));
  EXPECT_NO_THROW(ReadNpz(kByNumpy, {"sigma"}, 32));
}

// Replaces `from`, which must occur once in the array's header, by `to` of the same length.
std::string WithHeaderEdited(const std::string& from, const std::string& to) {
  const TempFolder folder;
  WriteNpz(folder / "x.npz", {{"a", at::ones({3, 4})}});
  std::string bytes = ReadBytes(folder / "x.npz");
  bytes.replace(bytes.find(from), from.size(), to);
  WriteBytes(folder / "x.npz", bytes);
  return MessageOf<InputError>([&] { ReadNpz(folder / "x.npz", {"a"}); });
}

TEST(NpzTest, RefusesAShapeThatTheArchiveDoesNotHold) {
  EXPECT_THAT(WithHeaderEdited("(3, 4), } ", "(3, 5), } "), HasSubstr("needs 60 bytes, the archive has 48"));
  EXPECT_THAT(WithHeaderEdited("(3, 4), }           ", "(9999999,99999999),}"), HasSubstr("at most"));
  EXPECT_THAT(WithHeaderEdited("(3, 4), }                       ", "(9999999999999,9999999999999), }"),
              HasSubstr("absurdly large"));
}

TEST(NpzTest, AFlippedBitIsFoundByTheChecksum) {
  const TempFolder folder;
  WriteNpz(folder / "x.npz", {{"a", at::full({8}, 1.0f)}});
  std::string bytes = ReadBytes(folder / "x.npz");
  const std::size_t value = bytes.find(std::string("\x00\x00\x80\x3f", 4));
  ASSERT_NE(value, std::string::npos);
  bytes[value] ^= 1;
  WriteBytes(folder / "x.npz", bytes);
  EXPECT_THAT(MessageOf<InputError>([&] { ReadNpz(folder / "x.npz", {"a"}); }),
              AllOf(HasSubstr("CRC"), HasSubstr("x.npz"), HasSubstr("\"a\"")));
}

TEST(NpzTest, RefusesATruncatedArchiveAndWhatIsNone) {
  const TempFolder folder;
  WriteNpz(folder / "x.npz", {{"a", at::ones({8})}});
  const std::string bytes = ReadBytes(folder / "x.npz");
  WriteBytes(folder / "cut.npz", bytes.substr(0, bytes.size() / 2));
  EXPECT_THROW(ReadNpz(folder / "cut.npz", {"a"}), InputError);
  WriteBytes(folder / "text.npz", "no zip");
  EXPECT_THROW(ListNpz(folder / "text.npz"), InputError);
}

TEST(NpzTest, AFailedWriteKeepsTheOldFile) {
  const TempFolder folder;
  WriteNpz(folder / "x.npz", {{"a", at::ones({1})}});
  EXPECT_THROW(WriteNpz(folder / "x.npz", {{"a", at::ones({1}, at::kBFloat16)}}), InputError);
  EXPECT_THROW(WriteNpz(folder / "none/x.npz", {{"a", at::ones({1})}}), IoError);
  EXPECT_EQ(ReadNpz(folder / "x.npz", {"a"}).at("a").item<float>(), 1.0f);
}

}  // namespace
}  // namespace lcsc
