// Choosing an extractor, and the ones that users export themselves.
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>

#include "lcsc/base/error.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/model/registry.h"
#include "support/run_program.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// The archives, exported once.
const std::filesystem::path& Exported() {
  static const TempFolder folder;
  static const bool done = [] {
    const CommandResult result =
        RunCommand({"/usr/bin/python3", LCSC_SOURCE_DIR "/tests/model/export_extractors.py", folder.path()});
    if (result.exit_code != 0) throw std::runtime_error(result.err);
    return true;
  }();
  EXPECT_TRUE(done);
  return folder.path();
}

std::shared_ptr<FeatureExtractor> Load(const std::string& name, const std::string& kind = "auto") {
  return LoadFeatureExtractor(Exported() / name, {.kind = kind});
}

std::string Refusal(const std::string& name, const std::string& kind = "auto") {
  return MessageOf<InputError>([&] { Load(name, kind); });
}

at::Tensor Images(std::int64_t channels, std::int64_t height = 9, std::int64_t width = 7) {
  at::manual_seed(3);
  return at::randint(0, 256, {4, channels, height, width}, at::kByte);
}

double Difference(const at::Tensor& found, const at::Tensor& expected) {
  EXPECT_EQ(found.scalar_type(), at::kFloat);
  EXPECT_EQ(found.sizes(), expected.sizes());
  return (found - expected).abs().max().item<double>();
}

TEST(ScriptExtractor, GivesTheFeaturesOfTheExportedModule) {
  const auto extractor = Load("Plain.pt");
  EXPECT_EQ(extractor->protocol(), "torchscript");
  EXPECT_EQ(extractor->feature_dim(), 4);
  const at::Tensor images = Images(3), x = images.to(at::kFloat);
  const at::Tensor expected = at::stack(
      {x.mean({1, 2, 3}), x.select(1, 0).mean({1, 2}), x.select(1, 2).select(1, 0).select(1, 0), x.amax({1, 2, 3})}, 1);
  EXPECT_LT(Difference(extractor->Features(images), expected), 1e-3);
  EXPECT_FALSE(extractor->Extract(images).logits.defined());
}

TEST(ScriptExtractor, GivesTheSameBitsInEveryCall) {
  const auto extractor = Load("Plain.pt");
  const at::Tensor first = extractor->Features(Images(3));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(at::equal(extractor->Features(Images(3)), first));
}

TEST(ScriptExtractor, RepeatsGrayAsThreeChannels) {
  const at::Tensor gray = Images(1);
  EXPECT_TRUE(at::equal(Load("Plain.pt")->Features(gray), Load("Plain.pt")->Features(gray.repeat({1, 3, 1, 1}))));
}

TEST(ScriptExtractor, AsksForFeaturesWhereTheModuleMustBeAsked) {
  const at::Tensor images = Images(3);
  EXPECT_LT(Difference(Load("WithFlag.pt")->Features(images), images.to(at::kFloat).mean({2, 3})), 1e-3);
}

TEST(ScriptExtractor, TakesLogitsBesideTheFeatures) {
  const at::Tensor images = Images(3);
  const Extraction found = Load("Classifier.pt")->Extract(images);
  const at::Tensor features = images.to(at::kFloat).mean({2, 3});
  EXPECT_LT(Difference(found.features, features), 1e-3);
  EXPECT_LT(Difference(found.logits, features.mm(at::arange(6.0).reshape({3, 2}).to(at::kFloat))), 1e-2);
}

TEST(ScriptExtractor, AModuleOfOneSizeSaysHowManyFeaturesItGives) {
  const auto extractor = Load("OneSize.pt");
  EXPECT_EQ(extractor->feature_dim(), 5);
  EXPECT_EQ(extractor->Features(Images(3, 20, 12)).size(1), 5);
  EXPECT_THAT(MessageOf<InputError>([&] { extractor->Features(Images(3)); }),
              AllOf(HasSubstr("OneSize.pt"), HasSubstr("only 20 x 12"), testing::Not(HasSubstr("Traceback"))));
}

TEST(ScriptExtractor, RefusesOtherImages) {
  const auto extractor = Load("Plain.pt");
  EXPECT_THAT(MessageOf<InputError>([&] { extractor->Features(Images(2)); }), HasSubstr("[4, 2, 9, 7]"));
  EXPECT_THAT(MessageOf<InputError>([&] { extractor->Features(Images(3).to(at::kInt)); }), HasSubstr("Int"));
}

TEST(ScriptExtractor, RefusesModulesThatAreNoExtractors) {
  EXPECT_THAT(Refusal("WrongType.pt"), AllOf(HasSubstr("WrongType.pt"), HasSubstr("Byte")));
  EXPECT_THAT(Refusal("NoImages.pt"), AllOf(HasSubstr("NoImages.pt"), HasSubstr("forward(images)")));
  const auto extractor = Load("WrongLength.pt");  // one image has as many rows as it should
  EXPECT_THAT(MessageOf<InputError>([&] { extractor->Features(Images(3)); }), HasSubstr("[4, d]"));
}

TEST(ScriptExtractor, RefusesFilesThatAreNoArchives) {
  EXPECT_THAT(Refusal("state_dict.pt", "torchscript"), HasSubstr("expected a TorchScript archive"));
  EXPECT_THAT(Refusal("nowhere.pt", "torchscript"), AllOf(HasSubstr("nowhere.pt"), HasSubstr("no such file")));
  const std::string bytes = ReadBytes(Exported() / "Plain.pt");
  WriteBytes(Exported() / "cut.pt", bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(Refusal("cut.pt", "torchscript"), HasSubstr("cut.pt"));
}

// Every byte of an archive turned once: an error of ours or a module, never another exception.
TEST(ScriptExtractor, RefusesDamagedArchivesWithOneError) {
  const std::string bytes = ReadBytes(Exported() / "WithFlag.pt");
  for (std::size_t i = 0; i < bytes.size(); i += 97) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(~damaged[i]);
    WriteBytes(Exported() / "damaged.pt", damaged);
    try {
      Load("damaged.pt", "torchscript")->Features(Images(3));
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("damaged.pt"), testing::Not(HasSubstr("\n")))) << i;
    }
  }
}

TEST(LoadFeatureExtractor, RefusesWordsThatItDoesNotKnow) {
  EXPECT_THAT(MessageOf<ConfigError>([] { Load("Plain.pt", "clip"); }),
              AllOf(HasSubstr("clip"), HasSubstr("inception")));
  WriteSafetensors(Exported() / "i.safetensors", {{"Conv2d_1a_3x3.conv.weight", at::zeros({32, 3, 3, 3})}});
  const auto load = [](const ExtractorOptions& options) {
    LoadFeatureExtractor(Exported() / "i.safetensors", options);
  };
  EXPECT_THAT(MessageOf<ConfigError>([&] { load({.protocol = "tf2"}); }), AllOf(HasSubstr("tf2"), HasSubstr("tf1")));
  EXPECT_THAT(MessageOf<ConfigError>([&] { load({.tap = "1024"}); }), AllOf(HasSubstr("1024"), HasSubstr("768")));
}

TEST(ExtractorProtocol, NamesWhatTheExtractorWouldDo) {
  EXPECT_EQ(ExtractorProtocol(Exported() / "Plain.pt"), "torchscript");
  WriteSafetensors(Exported() / "i.safetensors", {{"Conv2d_1a_3x3.conv.weight", at::zeros({32, 3, 3, 3})}});
  EXPECT_EQ(ExtractorProtocol(Exported() / "i.safetensors"), "tf1");
  EXPECT_EQ(ExtractorProtocol(Exported() / "i.safetensors", {.protocol = "pytorch-fid"}), "pytorch-fid");
  WriteSafetensors(Exported() / "d.safetensors", {{"weight", at::zeros({1})}}, {{"config", "{}"}});
  EXPECT_EQ(ExtractorProtocol(Exported() / "d.safetensors"), "digits");
}

}  // namespace
}  // namespace lcsc
