#include "lcsc/io/torch_archive.h"

#include <gmock/gmock.h>

#include "lcsc/base/error.h"
#include "lcsc/io/safetensors.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

// Files of make_torch_archives.py.
fs::path Data(const std::string& name) { return fs::path(LCSC_SOURCE_DIR) / "tests/data" / name; }
fs::path Archive(const std::string& name) { return Data("torch_" + name + ".pt"); }

std::string Refusal(const fs::path& path, const std::string& key = "") {
  return MessageOf<InputError>([&] { OpenTensorFile(path, {.key = key})->ReadAll(); });
}

void ExpectSame(const NamedTensors& found, const NamedTensors& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(found.contains(name)) << name;
    EXPECT_EQ(found.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(found.at(name).is_contiguous()) << name;
    EXPECT_TRUE(at::equal(found.at(name), tensor)) << name;
  }
}

NamedTensors ExpectedViews() {
  const at::Tensor base = at::arange(24, at::kFloat), rows = base.slice(0, 4, 16).view({3, 4});
  return {{"whole", base},
          {"rows", rows},
          {"transposed", rows.t()},
          {"every_third", base.slice(0, 5, 20, 3)},
          {"cube", base.view({2, 3, 4}).permute({2, 0, 1})},
          {"expanded", at::full({2, 3}, 7.0f)}};
}

TEST(TorchArchive, TheFixturesAreTheSafetensorsBitForBit) {
  const NamedTensors expected = ReadSafetensors(Data("edm_ddpmpp.weights.safetensors"));
  ExpectSame(OpenTensorFile(Data("edm_ddpmpp.weights.pt"))->ReadAll(), expected);
  const auto nested = OpenTensorFile(Data("edm_ddpmpp.nested.pt"), {.key = "ema"});
  ExpectSame(nested->ReadAll(), expected);
  EXPECT_EQ(nested->metadata().at("step"), "1000");
}

TEST(TorchArchive, EveryTypeAScalarAndAnEmptyTensor) {
  const auto file = OpenTensorFile(Archive("types"));
  const std::pair<const char*, at::ScalarType> types[] = {
      {"float64", at::kDouble},    {"float32", at::kFloat}, {"float16", at::kHalf},
      {"bfloat16", at::kBFloat16}, {"int64", at::kLong},    {"int32", at::kInt},
      {"int16", at::kShort},       {"int8", at::kChar},     {"uint8", at::kByte}};
  NamedTensors expected = {
      {"bool", at::arange(6).remainder(3) == 0}, {"scalar", at::full({}, 2.5f)}, {"empty", at::zeros({0, 4})}};
  int j = 0;
  for (const auto& [name, type] : types) expected[name] = (at::arange(6) + j++).to(type).reshape({2, 3});
  ExpectSame(file->ReadAll(), expected);
}

TEST(TorchArchive, SharedStoragesStridesAndOffsets) {
  for (const char* name : {"views", "legacy", "deflated"}) {
    SCOPED_TRACE(name);
    const auto file = OpenTensorFile(Archive(name));
    ExpectSame(file->ReadAll(), ExpectedViews());
    for (const auto& [tensor, whole] : ExpectedViews()) {
      const at::Tensor part = whole.flatten().slice(0, 1, whole.numel() - 1);
      EXPECT_TRUE(at::equal(file->ReadElements(tensor, {1, whole.numel() - 1}), part)) << tensor;
    }
  }
}

TEST(TorchArchive, AKeyChoosesTheDictInEveryProtocol) {
  for (const char* name : {"nested", "protocol1", "protocol4", "protocol5"}) {
    SCOPED_TRACE(name);
    const auto raw = OpenTensorFile(Archive(name), {.key = "state.net.raw"});  // a key with a dot inside
    ExpectSame(raw->ReadAll(), {{"w", at::tensor({1.0f, 2.0f})}, {"b", at::tensor({3.0f})}});
    EXPECT_EQ(raw->metadata().at("step"), "77");
    const auto ema = OpenTensorFile(Archive(name), {.key = "state.ema"});
    ExpectSame(ema->ReadAll(), {{"w", at::tensor({10.0f, 20.0f})}, {"b", at::tensor({30.0f})}});
    const auto averages = OpenTensorFile(Archive(name), {.key = "optimizer.state.0"});
    ExpectSame(averages->ReadAll(), {{"exp_avg", at::zeros({2})}});
  }
}

TEST(TorchArchive, ADotAtTheEndMeansADictsOwnTensorsBesideDictsOfTensors) {
  for (const char* key : {"", "state"}) {
    const std::string dotted = std::string(key) + ".";
    EXPECT_THAT(
        Refusal(Archive("mixed"), key),
        AllOf(HasSubstr("inside it beside its own 1, which --key " + dotted + " means"), HasSubstr("\"state.ema\"")));
    const float value = *key == '\0' ? 1 : 2;
    ExpectSame(OpenTensorFile(Archive("mixed"), {.key = dotted})->ReadAll(), {{"w", at::tensor({value})}});
  }
  ExpectSame(OpenTensorFile(Archive("mixed"), {.key = "state.ema"})->ReadAll(), {{"w", at::tensor({3.0f})}});
  ExpectSame(OpenTensorFile(Archive("mixed"), {.key = "state.ema."})->ReadAll(), {{"w", at::tensor({3.0f})}});
  EXPECT_THAT(Refusal(Archive("nested"), "."), HasSubstr("no tensor in it"));
  EXPECT_THAT(Refusal(Archive("mixed"), "none."), HasSubstr("no such entry"));
}

TEST(TorchArchive, AListIsChosenFromByPosition) {
  ExpectSame(OpenTensorFile(Archive("list"), {.key = "4"})->ReadAll(),
             {{"w", at::tensor({10.0f, 20.0f, 30.0f, 40.0f}).view({2, 2})}, {"b", at::tensor({50.0f})}});
  EXPECT_THAT(Refusal(Archive("list")), AllOf(HasSubstr("\"0\" (2 tensors), \"4\" (2 tensors)"), HasSubstr("--key")));
}

TEST(TorchArchive, ParametersAreTensors) {
  ExpectSame(OpenTensorFile(Archive("parameters"))->ReadAll(),
             {{"w", at::tensor({1.0f, 2.0f, 3.0f, 4.0f}).view({2, 2})}, {"b", at::tensor({5.0f})}});
}

TEST(TorchArchive, WithoutAKeyOrWithAWrongOneTheCandidatesAreListed) {
  for (const char* key : {"", "state", "emma", "step", "args", "state.ema.w"}) {
    EXPECT_THAT(Refusal(Archive("nested"), key),
                AllOf(HasSubstr("nested.pt"), HasSubstr("--key"), HasSubstr("\"state.net.raw\" (2 tensors)"),
                      HasSubstr("\"state.ema\" (2 tensors)"), HasSubstr("\"optimizer.state.0\" (1 tensor)")))
        << key;
  }
  EXPECT_THAT(Refusal(Archive("views"), "ema"), AllOf(HasSubstr("\"ema\""), HasSubstr("the top itself (6 tensors)")));
  EXPECT_THAT(Refusal(Data("edm_ncsnpp.weights.safetensors"), "ema"), HasSubstr("leave it out"));
}

TEST(TorchArchive, PlacesAreListedForInspection) {
  std::vector<std::string> keys;
  for (const StateDictPlace& place : ListStateDicts(Archive("nested"))) keys.push_back(place.key);
  EXPECT_THAT(keys, ElementsAre("state.net.raw", "state.ema", "optimizer.state.0"));
}

TEST(TorchArchive, ForbiddenGlobalsAreNamedAndNothingRuns) {
  const std::pair<const char*, const char*> cases[] = {{"evil_system", "\"posix.system\""},
                                                       {"evil_eval", "\"builtins.eval\""},
                                                       {"evil_numpy", "\"numpy.core.multiarray._reconstruct\""},
                                                       {"module", "\"torch.nn.modules.linear.Linear\""}};
  for (const auto& [name, global] : cases) {
    EXPECT_THAT(Refusal(Archive(name)), AllOf(HasSubstr(name), HasSubstr(global), HasSubstr("convert_pickle.py")));
  }
  EXPECT_FALSE(fs::exists("/tmp/executed"));
}

TEST(TorchArchive, DepthBesideTheTensorsDoesNoHarm) {
  ExpectSame(OpenTensorFile(Archive("deep"))->ReadAll(), {{"w", at::zeros({2})}});
}

TEST(TorchArchive, AnArchiveThatExpandsBeyondReasonIsRefused) {
  EXPECT_THAT(Refusal(Archive("bomb")), AllOf(HasSubstr("bomb.pt"), HasSubstr("more than 16 times")));
}

TEST(TorchArchive, TypesThatAreNotReadAreNamed) {
  EXPECT_THAT(Refusal(Archive("complex")), AllOf(HasSubstr("\"z\""), HasSubstr("torch.ComplexFloatStorage")));
}

// A damaged copy of a good file.
class DamagedArchiveTest : public ::testing::Test {
 protected:
  std::string RefusalOf(const std::string& bytes) {
    WriteBytes(folder_ / "bad.pt", bytes);
    return Refusal(folder_ / "bad.pt");
  }
  TempFolder folder_;
};

TEST_F(DamagedArchiveTest, EveryTruncationIsRefused) {
  for (const char* name : {"views", "legacy"}) {
    const std::string bytes = ReadBytes(Archive(name));
    for (std::size_t length = 0; length < bytes.size(); length += 7) {
      EXPECT_THAT(RefusalOf(bytes.substr(0, length)), HasSubstr("bad.pt")) << name << " " << length;
    }
  }
}

TEST_F(DamagedArchiveTest, EveryFlippedByteIsRefusedOrHarmless) {
  for (const char* name : {"views", "legacy", "nested"}) {
    const std::string good = ReadBytes(Archive(name));
    for (std::size_t at = 0; at < good.size(); at += 3) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ 0x5a);
      RefusalOf(bytes);  // anything but an InputError fails the test
    }
  }
}

TEST_F(DamagedArchiveTest, AFlippedByteOfAWeightIsFoundByTheChecksum) {
  std::string bytes = ReadBytes(Archive("views"));
  const float value = 13;
  const std::size_t at = bytes.find(std::string(reinterpret_cast<const char*>(&value), sizeof value));
  ASSERT_NE(at, std::string::npos);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  EXPECT_THAT(RefusalOf(bytes), HasSubstr("CRC"));
}

// The legacy container has no checksums, so that its numbers can be changed.
TEST_F(DamagedArchiveTest, ViewsThatReachOutsideTheirStorageAreRefused) {
  const std::string good = ReadBytes(Archive("legacy"));
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string bytes = good;
    const std::size_t at = bytes.find(from);
    EXPECT_NE(at, std::string::npos);
    return RefusalOf(bytes.replace(at, from.size(), to));
  };
  // whole: offset 0, shape (24,), stride (1,)
  EXPECT_THAT(changed("K\x18\x85", "K\x19\x85"),
              AllOf(HasSubstr("\"whole\""), HasSubstr("shape [25]"), HasSubstr("24")));
  // cube: shape (4, 2, 3), strides (1, 12, 4)
  EXPECT_THAT(changed("K\x01K\x0cK\x04\x87", "K\x01K\x0dK\x04\x87"),
              AllOf(HasSubstr("\"cube\""), HasSubstr("outside")));
  // expanded: shape (2, 3), strides (0, 0): the storage has one element, the shape may not be huge
  EXPECT_THAT(changed("K\x02K\x03\x86",
                      "J\xff\xff\xff\x7f"
                      "J\xff\xff\xff\x7f\x86"),
              HasSubstr("describe"));
  EXPECT_THAT(changed("K\x02K\x03\x86", "J\xff\xff\xff\xffK\x03\x86"), HasSubstr("integers >= 0"));
}

TEST_F(DamagedArchiveTest, OtherFilesAreSaidToBeWhatTheyAre) {
  EXPECT_THAT(Refusal(Data("numpy.npz")), HasSubstr("zip archive without data.pkl"));
  WriteBytes(folder_ / "module.pkl",
             "\x80\x02"
             "ctorch_utils.persistence\n_reconstruct_persistent_obj\n.");
  EXPECT_THAT(Refusal(folder_ / "module.pkl"), HasSubstr("\"torch_utils.persistence._reconstruct_persistent_obj\""));
  WriteBytes(folder_ / "plain.pkl", "\x80\x02}q\x01(K\x01K\x02u.");
  EXPECT_THAT(Refusal(folder_ / "plain.pkl"), AllOf(HasSubstr("bare pickle"), HasSubstr("convert_pickle.py")));
}

// Longer than what is looked at, and with what no state dict has.
TEST_F(DamagedArchiveTest, BarePicklesOfAnySizeAreSaidToBeSo) {
  std::string text("\x80\x02X\x00\x00\x30\x00", 7);  // one text of 3 MiB
  text.append(3 << 20, 'x');
  for (const std::string& bytes : {text + ".", std::string("\x80\x02K\x01K\x02\x80\x09\xff\x00.", 11)}) {
    WriteBytes(folder_ / "large.pkl", bytes);
    EXPECT_THAT(Refusal(folder_ / "large.pkl"),
                AllOf(HasSubstr("large.pkl"), HasSubstr("bare pickle"), HasSubstr("launch/convert_pickle.py")));
  }
  WriteBytes(folder_ / "large.pkl",
             "\x80\x02(ctorch_utils.persistence\n_reconstruct_persistent_obj\n" + text.substr(2));
  EXPECT_THAT(Refusal(folder_ / "large.pkl"), HasSubstr("\"torch_utils.persistence._reconstruct_persistent_obj\""));
}

}  // namespace
}  // namespace lcsc
