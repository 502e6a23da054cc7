// The FID Inception against features recorded from the published implementations, with weights given by a formula.
#include "lcsc/model/inception.h"

#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "lcsc/base/error.h"
#include "lcsc/io/npz.h"
#include "lcsc/io/safetensors.h"
#include "support/formula_weights.h"
#include "support/run_program.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::filesystem::path Data(const std::string& name) {
  return std::filesystem::path(LCSC_SOURCE_DIR) / "tests/data" / name;
}

double RelativeError(const at::Tensor& found, const at::Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

const NamedTensors& FormulaWeights() {
  static const NamedTensors weights = InceptionFormulaWeights();
  return weights;
}

// Made once for each protocol and tap.
Inception& InceptionOf(InceptionProtocol protocol, InceptionTap tap = InceptionTap::kFinal) {
  static std::map<std::pair<InceptionProtocol, InceptionTap>, std::unique_ptr<Inception>> made;
  auto& one = made[{protocol, tap}];
  if (!one) one = std::make_unique<Inception>(FormulaWeights(), "formula", InceptionOptions{protocol, tap});
  return *one;
}

std::string RefusalOf(NamedTensors weights) {
  return MessageOf<InputError>([&] { Inception(std::move(weights), "w.pth", {}); });
}

at::Tensor RandomImages(at::IntArrayRef shape) {
  at::manual_seed(7);
  return at::randint(0, 256, shape, at::kByte);
}

TEST(FormulaWeights, AreThoseThatTheFixtureWasRecordedWith) {
  double worst = 0;
  const nlohmann::json formula = InceptionFormula();
  EXPECT_EQ(FormulaWeights().size(), formula.size());
  for (const auto& [name, entry] : formula.items()) {
    const at::Tensor flat = FormulaWeights().at(name).flatten();
    for (std::int64_t i = 0; i < 3; ++i) {
      worst =
          std::max(worst, std::abs(flat[i].item<double>() - entry["first"][static_cast<std::size_t>(i)].get<double>()));
    }
  }
  std::printf("formula weights: %zu tensors, largest difference %.1e\n", FormulaWeights().size(), worst);
  EXPECT_LT(worst, 1e-9);
}

struct Recorded {
  InceptionProtocol protocol;
  std::string prefix;
  std::string size;
};

class InceptionReference : public testing::TestWithParam<Recorded> {};

TEST_P(InceptionReference, GivesThePublishedFeatures) {
  const c10::InferenceMode no_gradients;
  const NamedTensors io = ReadSafetensors(Data("inception.io.safetensors"));
  const auto& [protocol, prefix, size] = GetParam();
  const Extraction found = InceptionOf(protocol).Extract(io.at("images_" + size));
  const double error = RelativeError(found.features, io.at(prefix + ".features_" + size));
  std::printf("%s, %s x %s: relative L2 error of the features %.2e\n", prefix.c_str(), size.c_str(), size.c_str(),
              error);
  EXPECT_LT(error, 1e-5);
  if (protocol != InceptionProtocol::kTf1) return;
  const double logit_error = RelativeError(found.logits, io.at(prefix + ".logits_unbiased_" + size));
  std::printf("%s, %s x %s: relative L2 error of the logits %.2e\n", prefix.c_str(), size.c_str(), size.c_str(),
              logit_error);
  EXPECT_LT(logit_error, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Recorded, InceptionReference,
                         testing::Values(Recorded{InceptionProtocol::kTf1, "tf1_resize", "32"},
                                         Recorded{InceptionProtocol::kTf1, "tf1_resize", "64"},
                                         Recorded{InceptionProtocol::kPytorchFid, "pytorch_fid", "32"},
                                         Recorded{InceptionProtocol::kPytorchFid, "pytorch_fid", "64"}));

// Sizes and taps that the fixture does not have, against the network as tests/bench writes it plainly in PyTorch.
TEST(Inception, AgreesWithPlainPyTorchForEveryTapAndSize) {
  const c10::InferenceMode no_gradients;
  const TempFolder folder;
  const std::map<std::string, at::Tensor> images = {{"wide", RandomImages({2, 3, 33, 57})},
                                                    {"big", RandomImages({1, 3, 299, 310})}};
  WriteNpz(folder / "in.npz", images);
  const CommandResult result = RunCommand(
      {"/usr/bin/python3", LCSC_SOURCE_DIR "/tests/bench/inception_pytorch.py", folder / "in.npz", folder / "out.npz"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto expected = ReadNpz(folder / "out.npz", ListNpz(folder / "out.npz"));
  ASSERT_EQ(expected.size(), 20U);
  for (const auto protocol : {InceptionProtocol::kTf1, InceptionProtocol::kPytorchFid}) {
    for (const auto tap :
         {InceptionTap::kFirstPool, InceptionTap::kSecondPool, InceptionTap::kPreAux, InceptionTap::kFinal}) {
      Inception& inception = InceptionOf(protocol, tap);
      const bool is_final = tap == InceptionTap::kFinal;
      for (const auto& [name, batch] : images) {
        const std::string key = name + "." + inception.protocol() + ".";
        const Extraction found = inception.Extract(batch);
        const double error =
            RelativeError(found.features, expected.at(key + std::to_string(static_cast<std::int64_t>(tap))));
        std::printf("%s%ld: relative L2 error %.2e\n", key.c_str(), static_cast<long>(tap), error);
        EXPECT_LT(error, 1e-5) << key;
        EXPECT_EQ(found.logits.defined(), is_final);
        if (is_final) {
          EXPECT_LT(RelativeError(found.logits, expected.at(key + "logits")), 1e-5) << key;
        }
      }
    }
  }
}

// The largest difference between features of batches of `size` and of one batch, relative to the largest feature.
double BatchDifference(Inception& inception, const at::Tensor& images, std::int64_t size) {
  std::vector<at::Tensor> features;
  for (const at::Tensor& batch : images.split(size)) features.push_back(inception.Features(batch));
  const at::Tensor whole = inception.Features(images);
  const double difference = (at::cat(features) - whole).abs().max().item<double>() / whole.abs().max().item<double>();
  std::printf("batches of %ld: largest relative difference %.2e\n", static_cast<long>(size), difference);
  return difference;
}

TEST(Inception, GivesAnImageTheSameFeaturesInEveryBatch) {
  const c10::InferenceMode no_gradients;
  EXPECT_LT(BatchDifference(InceptionOf(InceptionProtocol::kTf1), RandomImages({4, 3, 16, 16}), 1), 1e-6);
  Inception& first_pool = InceptionOf(InceptionProtocol::kTf1, InceptionTap::kFirstPool);
  for (const std::int64_t size : {3, 17})
    EXPECT_LT(BatchDifference(first_pool, RandomImages({35, 3, 9, 9}), size), 1e-6);
}

TEST(Inception, SeesGrayImagesAsThreeEqualColours) {
  const c10::InferenceMode no_gradients;
  const at::Tensor gray = RandomImages({1, 1, 28, 28});
  Inception& inception = InceptionOf(InceptionProtocol::kPytorchFid);
  EXPECT_TRUE(at::equal(inception.Features(gray), inception.Features(gray.repeat({1, 3, 1, 1}))));
}

TEST(Inception, TakesImagesOfAnyMemoryLayout) {
  const c10::InferenceMode no_gradients;
  const at::Tensor nhwc = RandomImages({1, 12, 10, 3}), nchw = nhwc.permute({0, 3, 1, 2});
  Inception& inception = InceptionOf(InceptionProtocol::kTf1);
  EXPECT_TRUE(at::equal(inception.Features(nchw), inception.Features(nchw.contiguous())));
}

TEST(Inception, RefusesOtherImages) {
  Inception& inception = InceptionOf(InceptionProtocol::kTf1);
  const auto refusal = [&](const at::Tensor& images) {
    return MessageOf<InputError>([&] { inception.Features(images); });
  };
  EXPECT_THAT(refusal(at::zeros({2, 4, 8, 8}, at::kByte)), AllOf(HasSubstr("[2, 4, 8, 8]"), HasSubstr("[n, 3, h, w]")));
  EXPECT_THAT(refusal(at::zeros({2, 3, 8, 8}, at::kInt)), HasSubstr("Int"));
  EXPECT_THAT(refusal(at::zeros({3, 8, 8}, at::kByte)), HasSubstr("[3, 8, 8]"));
  EXPECT_THAT(refusal(at::zeros({0, 3, 8, 8}, at::kByte)), HasSubstr("[0, 3, 8, 8]"));
}

TEST(Inception, ReadsTheCountersThatTrainingLeavesAndOtherPrecisions) {
  const c10::InferenceMode no_gradients;
  NamedTensors weights = FormulaWeights();
  for (const auto& [name, tensor] : FormulaWeights()) {
    if (name.ends_with(".bn.running_var")) {
      weights[name.substr(0, name.rfind('.')) + ".num_batches_tracked"] = at::zeros({}, at::kLong);
    }
  }
  for (auto& [name, tensor] : weights) {
    if (tensor.is_floating_point()) tensor = tensor.to(at::kDouble);
  }
  Inception doubled(weights, "w.pth", {});
  const at::Tensor images = RandomImages({1, 3, 8, 8});
  EXPECT_TRUE(at::equal(doubled.Features(images), InceptionOf(InceptionProtocol::kTf1).Features(images)));
}

TEST(Inception, RefusesWeightsByTheNameThatDiffers) {
  NamedTensors weights = FormulaWeights();
  weights["AuxLogits.conv0.conv.weight"] = at::zeros({128, 768, 1, 1});
  EXPECT_THAT(RefusalOf(weights), AllOf(HasSubstr("w.pth"), HasSubstr("AuxLogits.conv0.conv.weight")));
  weights = FormulaWeights();
  weights.erase("Mixed_7c.branch3x3dbl_3b.bn.running_mean");
  EXPECT_THAT(RefusalOf(weights), AllOf(HasSubstr("Mixed_7c.branch3x3dbl_3b.bn.running_mean"), HasSubstr("missing")));
  weights = FormulaWeights();
  weights["fc.weight"] = at::zeros({1000, 2048});
  EXPECT_THAT(RefusalOf(weights), AllOf(HasSubstr("fc.weight"), HasSubstr("[1008, 2048]"), HasSubstr("[1000, 2048]")));
}

TEST(Inception, RefusesWeightsThatAreNotFinite) {
  for (const char* const name : {"Mixed_6a.branch3x3.conv.weight", "Mixed_6a.branch3x3.bn.running_var"}) {
    NamedTensors weights = FormulaWeights();
    weights[name] = weights[name].clone();
    weights[name].view({-1})[5] = -std::numeric_limits<float>::infinity();
    EXPECT_THAT(RefusalOf(weights), AllOf(HasSubstr("Mixed_6a.branch3x3."), HasSubstr("finite"))) << name;
  }
}

// Smooth enough along a direction for differences in float32: the slope of one number that depends on all features.
TEST(InceptionGradientTest, OfFloatingPointImagesIsTheDifference) {
  for (const InceptionProtocol protocol : {InceptionProtocol::kTf1, InceptionProtocol::kPytorchFid}) {
    Inception inception(FormulaWeights(), "formula", {protocol, InceptionTap::kFinal});
    inception.PrepareGradients();
    const at::Tensor bytes = RandomImages({2, 3, 20, 24});
    const at::Tensor images = bytes.to(at::kFloat).requires_grad_(true);
    const at::Tensor features = inception.Features(images);
    EXPECT_LT(RelativeError(features.detach(), inception.Features(bytes)), 1e-5);
    const at::Tensor weights = at::linspace(-1, 1, features.numel()).view(features.sizes());
    (features * weights).sum().backward();
    const at::Tensor gradient = images.grad();
    const at::NoGradGuard no_gradients;
    const at::Tensor direction = gradient / gradient.norm();
    const auto value_at = [&](double h) {
      return (inception.Features(bytes.to(at::kFloat) + h * direction) * weights).sum(at::kDouble).item<double>();
    };
    constexpr double kStep = 2;  // of a pixel value's 255, over all pixels together
    const double difference = (value_at(kStep) - value_at(-kStep)) / (2 * kStep);
    EXPECT_NEAR(gradient.norm().item<double>(), difference, 0.02 * difference);
  }
}

}  // namespace
}  // namespace lcsc
