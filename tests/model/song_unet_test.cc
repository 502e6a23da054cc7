// Variants of the SongUNet that no recorded output covers: their tensor names and shapes, and what must hold anyway.
#include "lcsc/model/song_unet.h"

#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lcsc/base/error.h"
#include "lcsc/model/registry.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using testing::HasSubstr;

nlohmann::json Small() {
  return {{"model_type", "SongUNet"}, {"precond", "EDMPrecond"}, {"img_resolution", 8}, {"img_channels", 2},
          {"model_channels", 8},      {"channel_mult", {1, 2}},  {"num_blocks", 1},     {"attn_resolutions", {4}}};
}

std::vector<std::int64_t> ShapeOf(const NamedTensors& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  return found == tensors.end() ? std::vector<std::int64_t>{} : found->second.sizes().vec();
}

using Shape = std::vector<std::int64_t>;

TEST(SongUNet, WithSkipsAtBothEndsHasTheNamesOfTheNcsnppConfiguration) {
  nlohmann::json json = Small();
  json["encoder_type"] = "skip";
  json["decoder_type"] = "skip";
  json["resample_filter"] = {1, 3, 3, 1};
  const auto network = MakeDenoiser(json);
  const NamedTensors tensors = StateDict(*network);
  EXPECT_EQ(ShapeOf(tensors, "model.enc.4x4_aux_down.resample_filter"), (Shape{1, 1, 4, 4}));
  EXPECT_FALSE(tensors.contains("model.enc.4x4_aux_down.weight"));
  EXPECT_EQ(ShapeOf(tensors, "model.enc.4x4_aux_skip.weight"), (Shape{8, 2, 1, 1}));
  EXPECT_EQ(ShapeOf(tensors, "model.dec.4x4_aux_norm.weight"), (Shape{16}));
  EXPECT_EQ(ShapeOf(tensors, "model.dec.4x4_aux_conv.weight"), (Shape{2, 16, 3, 3}));
  EXPECT_EQ(ShapeOf(tensors, "model.dec.8x8_aux_up.resample_filter"), (Shape{1, 1, 4, 4}));
  EXPECT_EQ(ShapeOf(tensors, "model.dec.8x8_aux_conv.weight"), (Shape{2, 8, 3, 3}));
  const at::Tensor image = network->Denoise(at::randn({3, 2, 8, 8}), at::ones({3}), {});
  EXPECT_EQ(image.sizes(), at::IntArrayRef({3, 2, 8, 8}));
}

TEST(SongUNet, WithClassesAndAugmentationMapsBothIntoTheEmbedding) {
  nlohmann::json json = Small();
  json["label_dim"] = 10;
  json["augment_dim"] = 9;
  json["channel_mult_noise"] = 2;
  const auto network = MakeDenoiser(json);
  const NamedTensors tensors = StateDict(*network);
  EXPECT_EQ(ShapeOf(tensors, "model.map_label.weight"), (Shape{16, 10}));
  EXPECT_EQ(ShapeOf(tensors, "model.map_label.bias"), (Shape{16}));
  EXPECT_EQ(ShapeOf(tensors, "model.map_augment.weight"), (Shape{16, 9}));
  EXPECT_FALSE(tensors.contains("model.map_augment.bias"));
  EXPECT_EQ(ShapeOf(tensors, "model.map_layer0.weight"), (Shape{32, 16}));
  EXPECT_EQ(network->label_dim(), 10);
}

// Fresh residual branches are almost nothing; the sum of one is made visible here.
void Enlarge(Denoiser& network) {
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : StateDict(network)) {
    if (name.find("conv1.weight") != std::string::npos || name.find("aux_conv.weight") != std::string::npos) {
      tensor.mul_(1e5);
    }
  }
}

TEST(SongUNet, DrawsAnotherImageForAnotherClassAndTreatsNoLabelsAsZeros) {
  nlohmann::json json = Small();
  json["label_dim"] = 3;
  const auto network = MakeDenoiser(json);
  network->eval();
  Enlarge(*network);
  const at::Tensor x = at::randn({1, 2, 8, 8}).expand({3, -1, -1, -1}).contiguous(), sigma = at::ones({1});
  const at::Tensor images = network->Denoise(x, sigma, at::eye(3));
  EXPECT_GT((images[0] - images[1]).abs().max().item<double>(), 1e-3);
  const at::Tensor unlabelled = network->Denoise(x, sigma, {});
  EXPECT_LT((unlabelled - network->Denoise(x, sigma, at::zeros({3, 3}))).abs().max().item<double>(), 1e-6);
  EXPECT_GT((unlabelled[0] - images[0]).abs().max().item<double>(), 1e-3);
}

TEST(SongUNet, DropsActivationsInTrainingOnly) {
  nlohmann::json json = Small();
  json["dropout"] = 0.5;
  const auto network = MakeDenoiser(json);
  Enlarge(*network);
  const at::Tensor x = at::randn({2, 2, 8, 8}), sigma = at::ones({1});
  EXPECT_FALSE(at::equal(network->Denoise(x, sigma, {}), network->Denoise(x, sigma, {})));
  network->eval();
  EXPECT_TRUE(at::equal(network->Denoise(x, sigma, {}), network->Denoise(x, sigma, {})));
}

TEST(SongUNet, HasTheSameGradientAsFiniteDifferences) {
  const auto network = MakeDenoiser(Small());
  network->eval();
  Enlarge(*network);
  const at::Tensor x = at::randn({2, 2, 8, 8}), sigma = at::ones({1}), probe = at::randn({2, 2, 8, 8});
  const auto loss = [&] { return (network->Denoise(x, sigma, {}) * probe).sum(); };
  loss().backward();
  for (const char* name :
       {"model.enc.8x8_conv.weight", "model.enc.4x4_down.conv0.weight", "model.dec.8x8_up.conv0.weight",
        "model.dec.4x4_in0.qkv.weight", "model.map_layer1.weight"}) {
    at::Tensor weight = StateDict(*network).at(name);
    const at::Tensor direction = at::randn_like(weight);
    const double expected = (weight.grad() * direction).sum().item<double>();
    const at::NoGradGuard no_grad;
    constexpr double kStep = 1e-3;
    weight.add_(direction, kStep);
    const double above = loss().item<double>();
    weight.add_(direction, -2 * kStep);
    const double below = loss().item<double>();
    weight.add_(direction, kStep);
    EXPECT_NEAR((above - below) / (2 * kStep), expected, 0.02 * std::abs(expected) + 0.02) << name;
  }
}

TEST(SongUNet, RefusesSizesThatDoNotFitTogether) {
  const auto message_with = [](const std::string& key, const nlohmann::json& value) {
    nlohmann::json json = Small();
    json[key] = value;
    return MessageOf<ConfigError>([&] { MakeDenoiser(json); });
  };
  EXPECT_THAT(message_with("channel_mult", {1, 1, 1, 1, 1}), HasSubstr("img_resolution 8"));
  EXPECT_THAT(message_with("channel_mult", nlohmann::json::array()), HasSubstr("0 entries"));
  EXPECT_THAT(message_with("model_channels", 10), HasSubstr("multiples of 4"));
  EXPECT_THAT(message_with("resample_filter", {1, 2, 1}), HasSubstr("3 taps"));
}

// A linear network has no say at sigma = sigma_min: the consistency function is the identity there.
TEST(ConsistencyPrecond, IsTheIdentityAtItsBoundary) {
  nlohmann::json json = Small();
  json["precond"] = "ConsistencyPrecond";
  json["sigma_min"] = 0.01;
  const auto network = MakeDenoiser(json);
  network->eval();
  Enlarge(*network);
  const at::Tensor x = at::randn({3, 2, 8, 8});
  EXPECT_LT((network->Denoise(x, at::full({1}, 0.01), {}) - x).abs().max().item<double>(), 1e-6);
  EXPECT_GT((network->Denoise(x, at::full({1}, 0.02), {}) - x).abs().max().item<double>(), 1e-3);
}

// ECT's class, as it is when it samples.
TEST(EcmPrecond, IsTheIdentityAtItsOwnSmallestNoiseLevel) {
  nlohmann::json json = Small();
  json.erase("precond");
  json["class_name"] = "training.networks.ECMPrecond";
  const auto network = MakeDenoiser(json);
  network->eval();
  Enlarge(*network);
  const at::Tensor x = at::randn({3, 2, 8, 8});
  EXPECT_LT((network->Denoise(x, at::full({1}, 0.003), {}) - x).abs().max().item<double>(), 1e-6);
  EXPECT_GT((network->Denoise(x, at::full({1}, 0.02), {}) - x).abs().max().item<double>(), 1e-3);
  EXPECT_EQ(network->schedule().last_time(), 0.003);
}

// With F = 0, D = c_skip x: 0.25 / ((s - 0.002)^2 + 0.25), and 0.25 / (s^2 + 0.25) for EDM.
TEST(Preconditioning, SkipsByItsFormulaWhenTheNetworkIsSilent) {
  const at::Tensor x = at::randn({2, 2, 8, 8}), sigma = at::tensor({0.3, 4.0}, at::kFloat);
  for (const auto& [name, boundary] : {std::pair{"EDMPrecond", 0.0}, std::pair{"ConsistencyPrecond", 0.002}}) {
    nlohmann::json json = Small();
    json["precond"] = name;
    const auto network = MakeDenoiser(json);
    const at::NoGradGuard no_grad;
    StateDict(*network).at("model.dec.8x8_aux_conv.weight").zero_();
    const at::Tensor denoised = network->Denoise(x, sigma, {});
    for (const int i : {0, 1}) {
      const double above = (i == 0 ? 0.3 : 4.0) - boundary;
      EXPECT_LT((denoised[i] - x[i] * (0.25 / (above * above + 0.25))).abs().max().item<double>(), 1e-6) << name;
    }
  }
}

}  // namespace
}  // namespace lcsc
