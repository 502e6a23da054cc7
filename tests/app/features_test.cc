// `lcsc features`, and references of the Inception's protocols, as a user runs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/command.h"
#include "app/run_command.h"
#include "lcsc/base/digest.h"
#include "lcsc/io/npz.h"
#include "lcsc/io/png.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/model/registry.h"
#include "service/tiny_models.h"
#include "support/formula_weights.h"

namespace lcsc {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kRecorded = LCSC_SOURCE_DIR "/tests/data/inception.io.safetensors";

double RelativeError(const at::Tensor& found, const at::Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

class FeaturesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TempFolder>();
    recorded_ = ReadSafetensors(kRecorded);
    WriteSafetensors(Path("inception.safetensors"), InceptionFormulaWeights());
    WriteNpz(Path("32.npz"), {{"arr_0", recorded_.at("images_32").permute({0, 2, 3, 1}).contiguous()}});
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string Path(const std::string& name) { return *folder_ / name; }

  static Arguments Command(const std::string& images, const Arguments& more = {}) {
    return With("inception", Path("inception.safetensors"), images) + more;
  }
  static Arguments With(const std::string& extractor, const std::string& weights, const std::string& images) {
    return {"features", "--extractor", extractor,  "--extractor-weights", weights,
            "--images", images,        "--output", Path("f.safetensors"), "--threads",
            "1"};
  }

  // In this process: the same way through the program, without paying its start each time.
  static NamedTensors Features(const Arguments& command) {
    EXPECT_EQ(RunCommandLine(World{}, command), ExitCode::kDone);
    return ReadSafetensors(Path("f.safetensors"));
  }

  static void ExpectRefused(const Arguments& command, const std::vector<std::string>& words) {
    std::filesystem::remove(Path("f.safetensors"));
    const std::string message = MessageOf<Error>([&] { RunCommandLine(World{}, command); });
    for (const std::string& word : words) EXPECT_THAT(message, HasSubstr(word));
    EXPECT_THAT(message, Not(HasSubstr("\n")));
    EXPECT_FALSE(std::filesystem::exists(Path("f.safetensors")));
  }

  static inline std::unique_ptr<TempFolder> folder_;
  static inline NamedTensors recorded_;
};

TEST_F(FeaturesTest, GivesTheRecordedFeaturesAndSaysHowTheyWereMade) {
  const CommandResult result = RunCommand(Lcsc(Command(Path("32.npz"), {"--protocol", "tf1", "--json"})));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const NamedTensors found = ReadSafetensors(Path("f.safetensors"));
  const double error = RelativeError(found.at("features"), recorded_.at("tf1_resize.features_32"));
  const double logit_error = RelativeError(found.at("logits_unbiased"), recorded_.at("tf1_resize.logits_unbiased_32"));
  std::printf("lcsc features, tf1: relative L2 error of the features %.2e, of the logits %.2e\n", error, logit_error);
  EXPECT_LT(error, 1e-5);
  EXPECT_LT(logit_error, 1e-5);
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["protocol"], "tf1");
  EXPECT_EQ(json["num_images"], 4);
  const auto metadata = SafetensorsFile(Path("f.safetensors")).metadata();
  EXPECT_EQ(metadata.at("protocol"), "tf1");
  EXPECT_EQ(metadata.at("num_images"), "4");
  EXPECT_EQ(metadata.at("extractor_digest"), DigestOfFile(Path("inception.safetensors")));
  EXPECT_EQ(metadata.at("images_digest"), json["images_digest"]);
}

TEST_F(FeaturesTest, ReadsSafetensorsByKeyInTheOtherProtocol) {
  const auto found = Features(Command(kRecorded, {"--key", "images_64", "--protocol", "pytorch-fid"}));
  const double error = RelativeError(found.at("features"), recorded_.at("pytorch_fid.features_64"));
  std::printf("lcsc features, pytorch-fid: relative L2 error of the features %.2e\n", error);
  EXPECT_LT(error, 1e-5);
}

TEST_F(FeaturesTest, ReadsAFolderOfPng) {
  std::filesystem::create_directory(Path("png"));
  for (std::int64_t i = 0; i < 4; ++i) {
    WritePng(Path("png/" + std::to_string(i) + ".png"), recorded_.at("images_32")[i]);
  }
  const auto found = Features(Command(Path("png"), {"--tap", "192", "--batch-size", "3"}));
  EXPECT_EQ(found.at("features").sizes(), at::IntArrayRef({4, 192}));
  EXPECT_FALSE(found.contains("logits_unbiased"));
  const auto from_npz = Features(Command(Path("32.npz"), {"--tap", "192"}));
  EXPECT_LT(RelativeError(found.at("features"), from_npz.at("features")), 1e-6);
}

TEST_F(FeaturesTest, RanksShareTheImages) {
  const CommandResult result = RunCommand(MpiLcsc(2, Command(Path("32.npz"), {"--batch-size", "1"})));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const NamedTensors found = ReadSafetensors(Path("f.safetensors"));
  EXPECT_LT(RelativeError(found.at("features"), recorded_.at("tf1_resize.features_32")), 1e-5);
  EXPECT_LT(RelativeError(found.at("logits_unbiased"), recorded_.at("tf1_resize.logits_unbiased_32")), 1e-5);
}

// As the published file comes: torch.save of an OrderedDict, with the counters of batch norm.
TEST_F(FeaturesTest, ReadsWeightsThatTorchSaved) {
  const std::string script =
      "import sys, torch; sys.path.insert(0, '" LCSC_SOURCE_DIR
      "/tests/bench'); "
      "import inception_pytorch; torch.save(inception_pytorch.make_network().state_dict(), sys.argv[1])";
  const CommandResult saved = RunCommand({"/usr/bin/python3", "-B", "-c", script, Path("inception.pth")});
  ASSERT_EQ(saved.exit_code, 0) << saved.err;
  const auto found = Features(With("auto", Path("inception.pth"), Path("32.npz")));
  EXPECT_LT(RelativeError(found.at("features"), recorded_.at("tf1_resize.features_32")), 1e-5);
}

TEST_F(FeaturesTest, TakesTheDigitsClassifier) {
  const TinyModels models(*folder_ / "tiny");
  const at::Tensor images = at::randint(0, 256, {5, 1, 8, 8}, at::kByte);
  WriteSafetensors(Path("gray.safetensors"), {{"anything", images}, {"labels", at::zeros({5}, at::kLong)}});
  const Arguments command = {"features",           "--extractor-weights",    models.extractor_path(),
                             "--images",           Path("gray.safetensors"), "--output",
                             Path("f.safetensors")};
  const auto extractor = LoadFeatureExtractor(models.extractor_path());
  const auto found = Features(command);
  EXPECT_TRUE(at::allclose(found.at("features"), extractor->Features(images)));
  EXPECT_TRUE(at::allclose(found.at("logits_unbiased"), extractor->Extract(images).logits));
  ExpectRefused(command + Arguments{"--protocol", "tf1"}, {"--protocol", "digits"});
  ExpectRefused(command + Arguments{"--tap", "64"}, {"--tap", "digits"});
}

TEST_F(FeaturesTest, RefusesImagesByWhatIsWrongWithThem) {
  WriteNpz(Path("float.npz"), {{"arr_0", at::zeros({2, 8, 8, 3})}});
  ExpectRefused(Command(Path("float.npz")), {Path("float.npz"), "arr_0", "uint8", "Float"});
  WriteNpz(Path("two.npz"), {{"arr_0", at::zeros({2, 8, 8, 2}, at::kByte)}});
  ExpectRefused(Command(Path("two.npz")), {Path("two.npz"), "[n, 3, h, w]", "[1, 2, 8, 8]"});
  ExpectRefused(Command(kRecorded), {kRecorded, "images_32", "images_64", "--key"});
  ExpectRefused(Command(kRecorded, {"--key", "images"}), {kRecorded, "\"images\""});
  ExpectRefused(Command(kRecorded, {"--key", "tf1_resize.features_32"}), {"tf1_resize.features_32", "F32", "uint8"});
  ExpectRefused(Command(Path("nowhere.npz")), {Path("nowhere.npz")});
  WriteSafetensors(Path("none.safetensors"), {{"images", at::zeros({0, 3, 8, 8}, at::kByte)}});
  ExpectRefused(Command(Path("none.safetensors")), {"[0, 3, 8, 8]", "n >= 1"});
}

TEST_F(FeaturesTest, RefusesWeightsOfAnotherKind) {
  WriteSafetensors(Path("other.safetensors"), {{"weight", at::zeros({2})}});
  const auto with = [](const std::string& kind) { return With(kind, Path("other.safetensors"), Path("32.npz")); };
  ExpectRefused(with("inception"), {Path("other.safetensors"), "Conv2d_1a_3x3"});
  ExpectRefused(with("digits"), {Path("other.safetensors"), "network JSON"});
  ExpectRefused(with("torchscript"), {Path("other.safetensors"), "TorchScript"});
  ExpectRefused(with("clip"), {"extractor", "clip", "inception", "--extractor-weights"});
  ExpectRefused(Command(Path("32.npz"), {"--protocol", "tf2"}), {"--protocol", "tf2", "pytorch-fid"});
}

class ReferenceTest : public FeaturesTest {
 protected:
  static Arguments Reference(const std::string& output, const Arguments& more = {}) {
    return Arguments{"reference", "--images",   Path("32.npz"), "--extractor", Path("inception.safetensors"),
                     "--output",  Path(output), "--tap",        "64",          "--threads",
                     "1"} +
           more;
  }
  static Arguments Evaluate(const std::string& reference, const Arguments& more = {}) {
    return Arguments{"evaluate", "--images",     Path("32.npz"), "--extractor",   Path("inception.safetensors"),
                     "--tap",    "64",           "--reference",  Path(reference), "--json",
                     "--set",    "run.threads=1"} +
           more;
  }
};

TEST_F(ReferenceTest, KeepsFeaturesOnWishAndSaysHowTheyWereMade) {
  EXPECT_EQ(RunCommandLine(World{}, Reference("kept.npz", {"--keep-features"})), ExitCode::kDone);
  const auto arrays = ReadNpz(Path("kept.npz"), {"features", "mu", "sigma"});
  const at::Tensor features = Features(Command(Path("32.npz"), {"--tap", "64"})).at("features");
  EXPECT_LT(RelativeError(arrays.at("features"), features), 1e-6);
  EXPECT_LT(RelativeError(arrays.at("mu"), features.to(at::kDouble).mean(0)), 1e-6);
  EXPECT_LT(RelativeError(arrays.at("sigma"), at::cov(features.to(at::kDouble).t())), 1e-4);
  const auto provenance = nlohmann::json::parse(ReadNpzText(Path("kept.npz"), "lcsc"));
  EXPECT_EQ(provenance["protocol"], "tf1");
  EXPECT_EQ(provenance["feature_dim"], 64);
  EXPECT_EQ(provenance["extractor_digest"], DigestOfFile(Path("inception.safetensors")));
}

TEST_F(ReferenceTest, RanksShareTheImages) {
  EXPECT_EQ(RunCommandLine(World{}, Reference("one.npz")), ExitCode::kDone);
  ASSERT_EQ(RunCommand(MpiLcsc(2, Reference("two.npz", {"--batch-size", "1"}))).exit_code, 0);
  const auto one = ReadNpz(Path("one.npz"), {"mu", "sigma"});
  const auto two = ReadNpz(Path("two.npz"), {"mu", "sigma"});
  for (const char* const name : {"mu", "sigma"}) EXPECT_LT(RelativeError(two.at(name), one.at(name)), 1e-5) << name;
}

TEST_F(ReferenceTest, OfAnotherProtocolIsRefusedUnlessAllowed) {
  EXPECT_EQ(RunCommandLine(World{}, Reference("fid.npz", {"--protocol", "pytorch-fid"})), ExitCode::kDone);
  const std::string refusal = MessageOf<Error>([] { RunCommandLine(World{}, Evaluate("fid.npz")); });
  for (const std::string& word : {Path("fid.npz"), std::string("tf1"), std::string("pytorch-fid"),
                                  std::string("evaluation.reference_mismatch")}) {
    EXPECT_THAT(refusal, HasSubstr(word));
  }
  const CommandResult allowed = RunCommand(Lcsc(Evaluate("fid.npz", {"--reference-mismatch", "allow"})));
  EXPECT_EQ(allowed.exit_code, 0) << allowed.err;
  EXPECT_THAT(allowed.err, HasSubstr("protocol pytorch-fid instead of tf1"));
  const CommandResult same = RunCommand(Lcsc(Evaluate("fid.npz", {"--protocol", "pytorch-fid"})));
  ASSERT_EQ(same.exit_code, 0) << same.err;
  EXPECT_THAT(same.err, Not(HasSubstr("reference")));
  const auto score = nlohmann::json::parse(same.out);
  EXPECT_EQ(score["protocol"], "pytorch-fid");
  EXPECT_LT(score["fid"].get<double>(), 1e-6);
  EXPECT_GT(nlohmann::json::parse(allowed.out)["fid"].get<double>(), 1e-4);
}

TEST_F(ReferenceTest, OfOthersIsAcceptedWithAWord) {
  WriteNpz(Path("others.npz"), {{"mu", at::zeros({64}, at::kDouble)}, {"sigma", at::eye(64, at::kDouble)}});
  const CommandResult result = RunCommand(Lcsc(Evaluate("others.npz")));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, testing::AllOf(HasSubstr("does not say how it was made"), HasSubstr("tf1")));
}

}  // namespace
}  // namespace lcsc
