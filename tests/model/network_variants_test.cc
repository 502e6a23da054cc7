// Variants of the networks that no recorded fixture covers, against a second account of the published architectures in
// PyTorch (network_twin.py): tensor names, shapes and what they compute.
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lcsc/io/safetensors.h"
#include "lcsc/model/bare_network.h"
#include "lcsc/model/registry.h"

namespace lcsc {
namespace {

const SafetensorsFile& Recorded() {
  static const SafetensorsFile file(std::filesystem::path(LCSC_SOURCE_DIR) / "tests/data/network_variants.safetensors");
  return file;
}

std::vector<std::string> VariantNames() {
  std::vector<std::string> names;
  for (const auto& [name, text] : Recorded().metadata()) names.push_back(name);
  return names;
}

// The weights' formula, by the tensor's name and the element's index; the twin has the same.
void Fill(torch::nn::Module& network) {
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : StateDict(network)) {
    if (name.ends_with("resample_filter")) continue;
    const at::Tensor i = at::arange(1, tensor.numel() + 1, at::kDouble);
    int checksum = 0;
    for (std::size_t k = 0; k < name.size(); ++k) checksum += static_cast<int>(name[k]) * static_cast<int>(k + 1);
    const at::Tensor u = i * 0.6180339887498949 + i * i * 0.0031415926535 + (checksum % 997) / 997.0;
    at::Tensor v = (u - u.floor()) * 2 - 1;
    if (name.ends_with("freqs")) {
      v = v * 4;
    } else if (tensor.dim() == 1) {
      v = v * 0.2 + (name.ends_with("weight") ? 1 : 0);
    } else {
      v = v * std::sqrt(3 / (static_cast<double>(tensor.numel()) / static_cast<double>(tensor.size(0))));
    }
    tensor.copy_(v.view(tensor.sizes()));
  }
}

class NetworkVariant : public testing::TestWithParam<std::string> {
 protected:
  NetworkVariant() : network_(MakeDenoiser(variant_["config"])) {
    Fill(*network_);
    network_->eval();
  }

  at::Tensor Read(const std::string& tensor) const { return Recorded().Read(GetParam() + "." + tensor); }
  Conditioning Labels() const {
    return network_->label_dim() > 0 ? Conditioning(Read("class_labels")) : Conditioning();
  }

  void ExpectAsRecorded(const at::Tensor& denoised) const {
    const at::Tensor expected = Read("denoised");
    // Where sigma is small, D is x and little else: each sample counts for itself, by what differs from x.
    for (std::int64_t i = 0; i < expected.size(0); ++i) {
      const double change = (expected[i] - Read("x")[i]).norm().item<double>();
      const double scale = std::min(change, expected[i].norm().item<double>());
      const double error = (denoised[i] - expected[i]).norm().item<double>() / scale;
      std::printf("%s, sample %lld: relative L2 error %.2e\n", GetParam().c_str(), static_cast<long long>(i), error);
      EXPECT_GT(change, 1e-3);
      EXPECT_LT(error, 2e-5);
    }
  }

  const nlohmann::json variant_ = nlohmann::json::parse(Recorded().metadata().at(GetParam()));
  const std::shared_ptr<Denoiser> network_;
};

TEST_P(NetworkVariant, HasThePublishedNamesAndShapes) {
  std::map<std::string, std::vector<std::int64_t>> found;
  for (const auto& [name, tensor] : StateDict(*network_)) found[name] = tensor.sizes().vec();
  std::map<std::string, std::vector<std::int64_t>> expected = variant_["tensors"];
  EXPECT_EQ(found, expected);
}

TEST_P(NetworkVariant, ComputesWhatASecondImplementationDoes) {
  const at::NoGradGuard no_grad;
  ExpectAsRecorded(network_->Denoise(Read("x"), Read("sigma"), Labels()));
}

// With other kernels, and channels last.
TEST_P(NetworkVariant, ComputesItInInferenceModeToo) {
  const c10::InferenceMode no_gradients;
  const at::Tensor denoised = network_->Denoise(Read("x"), Read("sigma"), Labels());
  EXPECT_TRUE(denoised.is_contiguous());
  ExpectAsRecorded(denoised);
}

TEST_P(NetworkVariant, PassesGradientsToAllItsParameters) {
  network_->Denoise(Read("x"), Read("sigma"), Labels()).square().sum().backward();
  for (const auto& item : network_->named_parameters()) {
    if (item.key().find("map_augment") != std::string::npos) continue;
    ASSERT_TRUE(item.value().grad().defined()) << item.key();
    // A constant before a normalisation, or added to all keys alike, has no say; rounding may give it some.
    if (!item.key().ends_with("weight")) continue;
    EXPECT_GT(item.value().grad().abs().max().item<double>(), 0) << item.key();
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, NetworkVariant, testing::ValuesIn(VariantNames()),
                         [](const auto& instance) { return instance.param; });

// sigma in float64 between two steps: index and scalings as the formulas say, with a network that is shown only those.
TEST(EpsilonDenoiser, TellsTheNetworkAFractionalTime) {
  const auto denoiser = MakeDenoiser(nlohmann::json::parse(Recorded().metadata().at("ddpm_pooling"))["config"]);
  Fill(*denoiser);
  denoiser->eval();
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::randn({2, 1, 8, 8});
  // Half-way in log alpha between steps of index 76 and 77.
  double log_alpha = 0, before = 0;
  for (int i = 0; i <= 77; ++i) {
    const double root = 0.03 + i / 199.0 * (0.1 - 0.03);
    before = log_alpha;
    log_alpha += 0.5 * std::log1p(-root * root);
  }
  const double middle = (before + log_alpha) / 2, alpha = std::exp(middle);
  const double sigma = std::sqrt(1 - alpha * alpha) / alpha;
  const at::Tensor eps = dynamic_cast<NetworkDenoiser&>(*denoiser).NetworkOutput(x * alpha, at::full({1}, 76.5f), {});
  const Prediction prediction = denoiser->Predict(x, at::full({1}, sigma, at::kDouble), {});
  EXPECT_LT((prediction.network_output - eps).norm().item<double>(), 1e-4 * eps.norm().item<double>());
  EXPECT_LT((prediction.denoised - (x - sigma * eps)).norm().item<double>(), 1e-4 * x.norm().item<double>());
  EXPECT_EQ(denoiser->schedule().num_timesteps(), 200);
}

TEST(NetworkDenoiser, KnowsTheNoiseLevelsOfItsJson) {
  nlohmann::json json = nlohmann::json::parse(Recorded().metadata().at("song_consistency_cm"))["config"];
  EXPECT_EQ(MakeDenoiser(json)->schedule().last_time(), 0.01);
  EXPECT_EQ(MakeDenoiser(json)->schedule().first_time(), 80);
  json["precond"] = "VEPrecond";
  json.erase("sigma_min");
  EXPECT_EQ(MakeDenoiser(json)->schedule().first_time(), 100);
  json["precond"] = "VPPrecond";
  EXPECT_NEAR(MakeDenoiser(json)->schedule().first_time(), std::sqrt(std::exp(10.05) - 1), 1e-9);
}

// Checkpoints of a network on its own, and of one inside torch's DataParallel.
TEST(NetworkDenoiser, NamesItsTensorsWithTheGivenPrefix) {
  nlohmann::json json = nlohmann::json::parse(Recorded().metadata().at("song_consistency_cm"))["config"];
  const auto name = [&](const char* prefix) {
    json["tensor_prefix"] = prefix;
    return StateDict(*MakeDenoiser(json)).begin()->first;
  };
  EXPECT_EQ(name(""), "dec.4x4_aux_conv.bias");
  EXPECT_EQ(name("module.net."), "module.net.dec.4x4_aux_conv.bias");
  json["tensor_prefix"] = "";
  json["label_dim"] = 3;
  json["label_dropout"] = 0.99999;
  const auto network = MakeDenoiser(json);
  Fill(*network);
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::randn({1, 1, 4, 4}), sigma = at::ones({1}), labels = at::eye(3).narrow(0, 0, 1);
  // The network knows whether it is trained although its owner holds its parts.
  network->eval();
  const at::Tensor with_label = network->Denoise(x, sigma, labels);
  network->train();
  at::manual_seed(1);
  EXPECT_GT((network->Denoise(x, sigma, labels) - with_label).abs().max().item<double>(), 1e-4);
}

}  // namespace
}  // namespace lcsc
