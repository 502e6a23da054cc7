#include "lcsc/io/safetensors.h"

#include <gmock/gmock.h>

#include <cstdint>
#include <cstring>

#include "lcsc/base/error.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Length(std::uint64_t length) {
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes;
}

// A file with this header and so many zero bytes of data.
std::string FileOf(const std::string& header, std::size_t data_bytes) {
  return Length(header.size()) + header + std::string(data_bytes, '\0');
}

class SafetensorsTest : public ::testing::Test {
 protected:
  // The error for a file of these bytes.
  std::string Refusal(const std::string& bytes) {
    const auto path = folder_ / "bad.safetensors";
    WriteBytes(path, bytes);
    return MessageOf<InputError>([&] { SafetensorsFile file(path); });
  }

  TempFolder folder_;
};

TEST_F(SafetensorsTest, EveryTypeSurvivesARoundTrip) {
  const auto path = folder_ / "all.safetensors";
  NamedTensors tensors;
  for (const auto type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort, at::kChar,
                          at::kByte, at::kBool}) {
    tensors[c10::toString(type)] = at::arange(6).reshape({2, 3}).to(type);
  }
  tensors["scalar"] = at::full({}, 1.5);
  tensors["empty"] = at::empty({0, 4});
  WriteSafetensors(path, tensors, {{"config", "{\"a\": 1}"}, {"step", "7"}});

  const SafetensorsFile file(path);
  EXPECT_EQ(file.metadata().at("config"), "{\"a\": 1}");
  EXPECT_EQ(file.metadata().at("step"), "7");
  ASSERT_EQ(file.entries().size(), tensors.size());
  for (const auto& [name, tensor] : ReadSafetensors(path)) {
    EXPECT_EQ(tensor.scalar_type(), tensors[name].scalar_type()) << name;
    EXPECT_EQ(tensor.sizes(), tensors[name].sizes()) << name;
    EXPECT_TRUE(at::equal(tensor, tensors[name])) << name;
  }
}

TEST_F(SafetensorsTest, AViewIsWrittenInItsOwnOrder) {
  const auto path = folder_ / "view.safetensors";
  const at::Tensor transposed = at::arange(6).reshape({2, 3}).t();
  WriteSafetensors(path, {{"x", transposed}});
  EXPECT_TRUE(at::equal(SafetensorsFile(path).Read("x"), transposed));
}

TEST_F(SafetensorsTest, ATensorOfTheReservedNameIsNotWritten) {
  const auto path = folder_ / "reserved.safetensors";
  EXPECT_THAT(MessageOf<InputError>([&] {
                WriteSafetensors(path, {{"__metadata__", at::ones({1})}});
              }),
              AllOf(HasSubstr("reserved.safetensors"), HasSubstr("__metadata__"), HasSubstr(".pt")));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(SafetensorsTest, TheBytesAreThoseOfTheFormat) {
  const auto path = folder_ / "one.safetensors";
  WriteSafetensors(path, {{"x", at::ones({1})}});
  const std::string header = R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  const std::string padding((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(ReadBytes(path),
            Length(header.size() + padding.size()) + header + padding + std::string("\0\0\x80\x3f", 4));
}

TEST_F(SafetensorsTest, ReadsAHandMadeFileWithTensorsInAnyOrder) {
  const auto path = folder_ / "hand.safetensors";
  const std::string header =
      R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"a":{"dtype":"BF16","shape":[],"data_offsets":[2,4]}})";
  WriteBytes(path, Length(header.size()) + header + std::string("\x05\x06\x40\x40", 4));
  const SafetensorsFile file(path);
  EXPECT_EQ(file.entries()[0].name, "a");
  EXPECT_EQ(file.Read("a").item<float>(), 3.0f);  // 0x4040 in bfloat16
  EXPECT_EQ(file.Read("b")[1].item<int>(), 6);
  EXPECT_TRUE(file.Contains("b"));
  EXPECT_FALSE(file.Contains("c"));
}

TEST_F(SafetensorsTest, AMissingFileAndAMissingTensorAreNamed) {
  EXPECT_THAT(MessageOf<InputError>([] { SafetensorsFile file("/nowhere/x.safetensors"); }),
              HasSubstr("/nowhere/x.safetensors"));
  EXPECT_THAT(MessageOf<InputError>([&] { SafetensorsFile file(folder_.path()); }), HasSubstr("folder"));
  const auto path = folder_ / "x.safetensors";
  WriteSafetensors(path, {{"x", at::ones({1})}});
  EXPECT_THAT(MessageOf<InputError>([&] { SafetensorsFile(path).Read("y"); }),
              AllOf(HasSubstr("\"y\""), HasSubstr("x.safetensors")));
}

TEST_F(SafetensorsTest, RefusesAHeaderLengthThatTheFileCannotHold) {
  EXPECT_THAT(Refusal(""), HasSubstr("found 0"));
  EXPECT_THAT(Refusal("1234567"), HasSubstr("found 7"));
  EXPECT_THAT(Refusal(Length(3) + "{}"), HasSubstr("at most 2 bytes, found one that claims 3"));
  EXPECT_THAT(Refusal(Length(~std::uint64_t{0}) + "{}"), HasSubstr("claims 18446744073709551615"));
}

TEST_F(SafetensorsTest, RefusesAHeaderThatIsNotTheFormatsJson) {
  EXPECT_THAT(Refusal(FileOf("{", 0)), HasSubstr("no JSON"));
  EXPECT_THAT(Refusal(FileOf("[]", 0)), HasSubstr("expected a JSON object"));
  EXPECT_THAT(Refusal(FileOf(std::string(100000, '['), 0)), HasSubstr("nested"));
  EXPECT_THAT(Refusal(FileOf(R"({"x":1})", 0)), HasSubstr("\"x\""));
  EXPECT_THAT(Refusal(FileOf(R"({"x":{"dtype":"U8","shape":[0]}})", 0)), HasSubstr("data_offsets"));
  EXPECT_THAT(Refusal(FileOf(R"({"__metadata__":{"step":3}})", 0)), HasSubstr("step must be a string"));
  EXPECT_THAT(Refusal(FileOf(R"({"__metadata__":[]})", 0)), HasSubstr("object of strings"));
}

TEST_F(SafetensorsTest, RefusesTheSameNameTwice) {
  EXPECT_THAT(Refusal(FileOf(R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                             R"("x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                             2)),
              HasSubstr("\"x\" stands twice"));
}

// The refusal of one tensor "x" of these fields before `data_bytes` bytes of data.
struct BadTensor {
  const char* dtype;
  const char* shape;
  const char* offsets;
  std::size_t data_bytes;
  const char* expected;
};

TEST_F(SafetensorsTest, RefusesTensorsThatContradictThemselvesOrTheFile) {
  const BadTensor cases[] = {
      {"Q4", "[1]", "[0,1]", 1, "unknown tensor type \"Q4\""},
      {"U8", "[-1]", "[0,1]", 1, "integers >= 0"},
      {"U8", "[1.5]", "[0,1]", 1, "integers >= 0"},
      {"U8", "1", "[0,1]", 1, "integers >= 0"},
      {"U8", "[1]", "[0,-1]", 1, "integers >= 0"},
      {"F32", "[4294967296,4294967296]", "[0,4]", 4, "absurdly large"},
      {"F32", "[18446744073709551615]", "[0,4]", 4, "absurdly large"},
      {"F32", "[2]", "[0,4]", 4, "expected 8 bytes for type F32 and shape [2], found 4"},
      {"U8", "[1]", "[1,0]", 1, "end that is not before"},
      {"U8", "[1]", "[0]", 1, "end that is not before"},
      {"U8", "[4]", "[0,4]", 3, "truncated"},
      {"U8", "[4]", "[0,4]", 5, "expected 4 bytes of tensors, found 5"},
      {"U8", "[1]", "[1,2]", 2, "hole"},
  };
  for (const BadTensor& bad : cases) {
    const std::string header = std::string(R"({"x":{"dtype":")") + bad.dtype + R"(","shape":)" + bad.shape +
                               R"(,"data_offsets":)" + bad.offsets + "}}";
    EXPECT_THAT(Refusal(FileOf(header, bad.data_bytes)),
                AllOf(HasSubstr("bad.safetensors"), HasSubstr("x"), HasSubstr(bad.expected)))
        << header;
  }
}

TEST_F(SafetensorsTest, RefusesTensorsThatOverlapOrLeaveAHole) {
  const std::string a = R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)";
  EXPECT_THAT(Refusal(FileOf(a + R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", 3)), HasSubstr("overlaps"));
  EXPECT_THAT(Refusal(FileOf(a + R"("b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})", 5)), HasSubstr("hole"));
  EXPECT_THAT(Refusal(FileOf(a + R"("b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})", 4)), IsEmpty());
}

TEST_F(SafetensorsTest, RefusesEveryTruncationOfAGoodFile) {
  const auto path = folder_ / "good.safetensors";
  WriteSafetensors(path, {{"a", at::ones({3})}, {"b", at::ones({2, 2})}});
  const std::string bytes = ReadBytes(path);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(Refusal(bytes.substr(0, length)).empty()) << length;
  }
}

TEST_F(SafetensorsTest, ATypeThatTheFormatLacksIsNotWritten) {
  const auto path = folder_ / "complex.safetensors";
  EXPECT_THROW(WriteSafetensors(path, {{"z", at::ones({1}, at::kComplexFloat)}}), InputError);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

}  // namespace
}  // namespace lcsc
