#include "lcsc/io/pickle_reader.h"

#include <gmock/gmock.h>

#include "lcsc/base/error.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace std::string_literals;

// Programs are written in opcodes: Python's pickletools.dis() explains them.
PickleTree Read(const std::string& program) { return ReadPickle({program, "x.pkl"}); }

std::string Refusal(const std::string& program) {
  return MessageOf<InputError>([&] { Read(program); });
}

template <typename T>
T RootOf(const std::string& program) {
  const PickleTree tree = Read(program);
  const T* value = tree.As<T>(tree.root);
  EXPECT_NE(value, nullptr) << program;
  return value == nullptr ? T{} : *value;
}

TEST(PickleReader, NumbersOfEveryOpcode) {
  EXPECT_EQ(RootOf<std::int64_t>("K\xff."s), 255);
  EXPECT_EQ(RootOf<std::int64_t>("M\x01\x02."s), 513);
  EXPECT_EQ(RootOf<std::int64_t>("J\xfe\xff\xff\xff."s), -2);
  EXPECT_EQ(RootOf<std::int64_t>("I-42\n."), -42);
  EXPECT_EQ(RootOf<std::int64_t>("L123456789012L\n."), 123456789012);
  EXPECT_EQ(RootOf<std::int64_t>("\x8a\x00."s), 0);
  EXPECT_EQ(RootOf<std::int64_t>("\x8a\x01\x80."s), -128);
  EXPECT_EQ(RootOf<std::int64_t>("\x8a\x05\x00\x00\x00\x00\x01."s), std::int64_t{1} << 32);
  EXPECT_EQ(RootOf<std::int64_t>("\x8b\x02\x00\x00\x00\xff\x00."s), 255);
  EXPECT_EQ(RootOf<double>("G\x3f\xf8\x00\x00\x00\x00\x00\x00."s), 1.5);
  EXPECT_EQ(RootOf<bool>("\x88."), true);
  EXPECT_EQ(RootOf<bool>("\x89."), false);
  EXPECT_EQ(RootOf<bool>("I01\n."), true);
  RootOf<PickleNone>("N.");
  RootOf<PickleOpaque>("\x8a\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01."s);  // beyond 64 bits
}

TEST(PickleReader, TextsAndBytes) {
  EXPECT_EQ(RootOf<std::string>("X\x02\x00\x00\x00\xc3\xa9."s), "é");
  EXPECT_EQ(RootOf<std::string>("\x8c\x01z."), "z");
  EXPECT_EQ(RootOf<std::string>("\x8d\x01\x00\x00\x00\x00\x00\x00\x00z."s), "z");
  RootOf<PickleOpaque>("X\x01\x00\x00\x00\xff."s);  // no UTF-8
  RootOf<PickleOpaque>("C\x02zz."s);
}

TEST(PickleReader, ContainersAndMemo) {
  // [1, (2, 3), the same tuple], the list kept and set as its own fourth item
  const PickleTree tree = Read(
      "\x80\x02]q\x05(K\x01K\x02K\x03\x86q\x07h\x07h\x05"
      "e.");
  const auto* list = tree.As<PickleSequence>(tree.root);
  ASSERT_NE(list, nullptr);
  ASSERT_EQ(list->items.size(), 4u);
  EXPECT_EQ(*tree.As<std::int64_t>(list->items[0]), 1);
  EXPECT_EQ(tree.As<PickleSequence>(list->items[1])->items.size(), 2u);
  EXPECT_EQ(list->items[1], list->items[2]);
  EXPECT_EQ(list->items[3], tree.root);
  EXPECT_EQ(RootOf<PickleDict>("}(K\x01K\x02K\x03K\x04u.").items.size(), 2u);
}

TEST(PickleReader, StopsAtTheEndOfTheFirstPickle) { EXPECT_EQ(Read("N.N.").num_bytes, 2u); }

TEST(PickleReader, EveryOtherGlobalIsRefusedByName) {
  for (const std::string& program : {"cos\nsystem\n."s, "\x8c\x02os\x8c\x06system\x93."s, "(ios\nsystem\n."s}) {
    EXPECT_THAT(Refusal(program), AllOf(HasSubstr("x.pkl"), HasSubstr("\"os.system\""), HasSubstr("convert_pickle.py")))
        << program;
  }
  EXPECT_THAT(Refusal("c__builtin__\neval\n."), HasSubstr("\"builtins.eval\""));
  EXPECT_THAT(Refusal("ctorch.nn.modules.linear\nLinear\n."), HasSubstr("\"torch.nn.modules.linear.Linear\""));
  std::string long_name = "c\x1b[2J\n";
  long_name.append(1000, 'a').append("\n.");
  EXPECT_THAT(Refusal(long_name), AllOf(HasSubstr("\"?[2J.aaa"), HasSubstr("...")));
  EXPECT_EQ(RootOf<PickleGlobal>("ctorch\nfloat32\n.").name, "torch.float32");
}

TEST(PickleReader, AllowedNamesMakeInertValues) {
  const PickleTree tree = Read("ctorch\nSize\n(K\x01K\x02tR.");
  const auto* call = tree.As<PickleCall>(tree.root);
  ASSERT_NE(call, nullptr);
  EXPECT_EQ(call->name, "torch.Size");
  EXPECT_EQ(tree.As<PickleSequence>(call->arguments)->items.size(), 2u);
  EXPECT_EQ(RootOf<PickleDict>("ccollections\nOrderedDict\n]]K\x01"
                               "aK\x02"
                               "aa\x85R.")
                .items.size(),
            1u);
  EXPECT_THAT(Refusal("ctorch\nfloat32\n)R."), HasSubstr("calls torch.float32"));
  EXPECT_THAT(Refusal("K\x01)R."), HasSubstr("no global"));
  EXPECT_THAT(Refusal("ctorch\nSize\nK\x01R."), HasSubstr("no tuple"));
}

TEST(PickleReader, RefusesProgramsThatContradictThemselves) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "cut off"},
      {"K", "cut off"},
      {"X\xff\xff\xff\xff"
       "abc.",
       "4294967295 bytes expected, 4 left"},
      {"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "cut off"},
      {"\x8b\xff\xff\xff\xff.", "cut off"},
      {"ctorch", "cut off in a line"},
      {".", "empty stack"},
      {"0.", "empty stack"},
      {"K\x01\x86.", "empty stack"},
      {"K\x01(\x85.", "empty stack"},  // values below a mark are out of reach
      {"K\x01t.", "mark"},
      {"h\x05.", "never kept"},
      {"j\xff\xff\xff\xff.", "never kept"},
      {"q\x01.", "empty stack"},
      {"K\x01K\x02"
       "a.",
       "no list"},
      {"]K\x01K\x02s.", "no dict"},
      {"}(K\x01u.", "without a value"},
      {"\x80\x06.", "protocol"},
      {"\x82\x01.", "opcode 0x82"},
      {"\x97.", "opcode 0x97"},
      {"Pabc\n.", "opcode 0x50"},
  };
  for (const auto& [program, expected] : cases) {
    EXPECT_THAT(Refusal(program), AllOf(HasSubstr("x.pkl"), HasSubstr(expected))) << program;
  }
}

TEST(PickleReader, DepthCostsNoStackAndCountsAreBounded) {
  constexpr std::size_t kDepth = 1'000'000;
  EXPECT_EQ(Refusal(std::string(kDepth, ']') + std::string(kDepth - 1, 'a') + "."), "");
  EXPECT_THAT(Refusal(std::string(5'000'000, ']')), HasSubstr("more than 4194304 values"));
  // A dict of 2^16 items, copied again and again by 5 bytes each.
  std::string copies =
      "ccollections\nOrderedDict\nq\x01"
      "0}(";
  for (int i = 0; i < 1 << 16; ++i) copies += "NN";
  copies +=
      "u\x85q\x02"
      "0";
  for (int i = 0; i < 100; ++i) copies += "h\x01h\x02R";
  EXPECT_THAT(Refusal(copies + "."), HasSubstr("copies more than"));
}

TEST(PickleReader, ANamespaceHasItsAttributes) {
  EXPECT_EQ(RootOf<PickleDict>("cargparse\nNamespace\n)\x81}\x8c\x02lrK\x01sb.").items.size(), 1u);
  EXPECT_EQ(RootOf<PickleDict>("ccollections\nOrderedDict\n)R}\x8c\x02lrK\x01sb.").items.size(), 0u);
}

}  // namespace
}  // namespace lcsc
