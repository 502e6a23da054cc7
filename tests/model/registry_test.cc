#include "lcsc/model/registry.h"
#include "lcsc/io/safetensors.h"

#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lcsc/base/error.h"
#include "lcsc/model/digits_classifier.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

nlohmann::json Small() {
  return {{"model_type", "SongUNet"}, {"precond", "EDMPrecond"}, {"img_resolution", 4}, {"img_channels", 1},
          {"model_channels", 8},      {"channel_mult", {1}},     {"num_blocks", 1},     {"embedding_type", "fourier"}};
}

NamedTensors Copy(const NamedTensors& tensors) {
  NamedTensors copy;
  for (const auto& [name, tensor] : tensors) copy[name] = tensor.detach().clone();
  return copy;
}

std::string Refusal(const nlohmann::json& json) {
  return MessageOf<ConfigError>([&] { MakeDenoiser(json); });
}

TEST(MakeDenoiser, SuggestsTheNearestKeyForAnUnknownOne) {
  nlohmann::json json = Small();
  json["model_chanels"] = 16;
  EXPECT_THAT(Refusal(json), AllOf(HasSubstr("model_chanels"), HasSubstr("'model_channels'")));
}

TEST(MakeDenoiser, NamesAMissingKeyAWrongTypeAndAnUnknownWord) {
  nlohmann::json json = Small();
  json.erase("img_resolution");
  EXPECT_THAT(Refusal(json), HasSubstr("img_resolution"));
  json = Small();
  json["num_blocks"] = "two";
  EXPECT_THAT(Refusal(json), AllOf(HasSubstr("num_blocks"), HasSubstr("two")));
  json = Small();
  json["num_blocks"] = 1.5;
  EXPECT_THAT(Refusal(json), AllOf(HasSubstr("num_blocks"), HasSubstr("1.5")));
  json = Small();
  json["encoder_type"] = "residul";
  EXPECT_THAT(Refusal(json), AllOf(HasSubstr("residul"), HasSubstr("'residual'")));
  json = Small();
  json["model_type"] = "SongUnet";
  EXPECT_THAT(Refusal(json), HasSubstr("'SongUNet'"));
  json = Small();
  json["precond"] = "VQPrecond";
  EXPECT_THAT(Refusal(json), AllOf(HasSubstr("EDMPrecond"), HasSubstr("'VPPrecond'")));
  EXPECT_THAT(Refusal(nlohmann::json::array()), HasSubstr("expected a JSON object"));
}

nlohmann::json SmallAdm() {
  return {{"model_type", "adm"},
          {"image_size", 4},
          {"model_channels", 32},
          {"num_res_blocks", 1},
          {"num_classes", 3},
          {"channel_mult", {1}},
          {"attention_resolutions", nlohmann::json::array()}};
}

nlohmann::json SmallDdpm() {
  return {{"image_size", 4}, {"ch", 32}, {"ch_mult", {1}}, {"num_res_blocks", 1}, {"beta_schedule", "linear"}};
}

// As deep as a file is long: what is shown of it must not be found by recursion.
TEST(MakeDenoiser, NamesTheTypeOfAValueHoweverDeepItIs) {
  constexpr std::size_t kDepth = 1'000'000;
  const auto network =
      nlohmann::json::parse(R"({"model_type": )" + std::string(kDepth, '[') + std::string(kDepth, ']') + "}");
  EXPECT_THAT(Refusal(network), HasSubstr("\"model_type\" is an array of 1; expected"));
}

TEST(MakeDenoiser, RefusesWhatEachCodeBaseDoesNotKnow) {
  const auto refusal = [](nlohmann::json json, const std::string& key, const nlohmann::json& value) {
    json[key] = value;
    return Refusal(json);
  };
  EXPECT_EQ(Refusal(SmallAdm()), "");
  EXPECT_EQ(Refusal(SmallDdpm()), "");
  EXPECT_EQ(refusal(SmallAdm(), "num_classes", nullptr), "");
  EXPECT_THAT(refusal(SmallAdm(), "num_head_chanels", 32), HasSubstr("'num_head_channels'"));
  EXPECT_THAT(refusal(SmallAdm(), "model_type", "admm"), AllOf(HasSubstr("admm"), HasSubstr("'adm'")));
  EXPECT_THAT(refusal(SmallAdm(), "attention_resolutions", "4;2"), HasSubstr("4;2"));
  EXPECT_THAT(refusal(SmallAdm(), "attention_resolutions", "3"), HasSubstr("divisors of image_size 4"));
  EXPECT_EQ(refusal(SmallAdm(), "attention_resolutions", "32,4"), "");
  EXPECT_EQ(refusal(SmallAdm(), "attention_resolutions", " 32 , 4 "), "");
  EXPECT_THAT(refusal(SmallAdm(), "channel_mult", "1,,1"), HasSubstr("1,,1"));
  EXPECT_THAT(refusal(SmallAdm(), "attention_resolutions", nullptr), HasSubstr("attention_resolutions"));
  EXPECT_THAT(refusal(SmallAdm(), "num_heads", 5), AllOf(HasSubstr("32 channels"), HasSubstr("5 heads")));
  EXPECT_THAT(refusal(SmallAdm(), "num_head_channels", 24), HasSubstr("num_head_channels 24"));
  EXPECT_THAT(refusal(SmallAdm(), "model_channels", 48), HasSubstr("multiples of 32"));
  EXPECT_THAT(refusal(SmallAdm(), "model_channels", 1 << 30), HasSubstr("at most"));
  EXPECT_THAT(refusal(SmallAdm(), "channel_mult", {1, 1, 1, 1}), HasSubstr("image_size 4"));
  EXPECT_THAT(refusal(SmallAdm(), "channel_mult", {-1}), HasSubstr("channel_mult"));
  EXPECT_THAT(refusal(SmallAdm(), "dropout", 1.5), HasSubstr("[0, 1)"));
  EXPECT_THAT(refusal(SmallAdm(), "out_channels", 6), HasSubstr("out_channels 6"));
  EXPECT_THAT(refusal(SmallAdm(), "use_scale_shift_norm", 1), HasSubstr("true or false"));
  EXPECT_THAT(refusal(SmallAdm(), "qkv_layout", "b s"), HasSubstr("b (h three d) s"));
  EXPECT_THAT(refusal(SmallAdm(), "dims", 3), HasSubstr("dims"));
  EXPECT_THAT(refusal(SmallAdm(), "sigma_data", 0), HasSubstr("sigma_data"));
  EXPECT_THAT(refusal(SmallDdpm(), "beta_schedule", "linar"), HasSubstr("'linear'"));
  EXPECT_THAT(refusal(SmallDdpm(), "beta_end", 2), HasSubstr("beta"));
  EXPECT_THAT(refusal(SmallDdpm(), "out_ch", 4), HasSubstr("4 output channels"));
  EXPECT_THAT(refusal(SmallDdpm(), "ch_mult", "1,2"), HasSubstr("ch_mult"));
  EXPECT_THAT(refusal(SmallDdpm(), "type", "bayesian"), HasSubstr("simple"));
  EXPECT_THAT(refusal(Small(), "tensor_prefix", "model"), HasSubstr("tensor_prefix"));
  EXPECT_THAT(refusal(Small(), "sigma_min", 100), HasSubstr("sigma_max"));
}

TEST(MakeDenoiser, NeedsLabelsWhereTheNetworkLooksThemUp) {
  const auto network = MakeDenoiser(SmallAdm());
  EXPECT_THAT(MessageOf<InputError>([&] {
                network->Denoise(at::zeros({1, 3, 4, 4}), at::ones({1}), {});
              }),
              HasSubstr("3 classes"));
}

class StateDictLoading : public testing::Test {
 protected:
  const std::shared_ptr<Denoiser> network_ = MakeDenoiser(Small());
  NamedTensors given_ = Copy(StateDict(*MakeDenoiser(Small())));
  std::string Load() {
    return MessageOf<InputError>([this] { LoadStateDict(*network_, given_, "ckpt.safetensors"); });
  }
};

TEST_F(StateDictLoading, CopiesParametersAndBuffers) {
  EXPECT_EQ(Load(), "");
  const NamedTensors own = StateDict(*network_);
  EXPECT_TRUE(own.contains("model.map_noise.freqs"));
  for (const auto& [name, tensor] : given_) EXPECT_TRUE(at::equal(own.at(name), tensor)) << name;
}

TEST_F(StateDictLoading, ConvertsHalfPrecision) {
  const std::string name = "model.map_layer0.weight";
  given_[name] = given_[name].to(at::kBFloat16);
  EXPECT_EQ(Load(), "");
  EXPECT_TRUE(at::equal(StateDict(*network_).at(name), given_[name].to(at::kFloat)));
}

TEST_F(StateDictLoading, RefusesAMissingTensorAndLeavesTheNetworkAsItWas) {
  const NamedTensors before = Copy(StateDict(*network_));
  given_.erase("model.dec.4x4_aux_norm.bias");
  EXPECT_THAT(Load(), AllOf(HasSubstr("ckpt.safetensors"), HasSubstr("model.dec.4x4_aux_norm.bias is missing"),
                            HasSubstr("F32 [8]")));
  for (const auto& [name, tensor] : StateDict(*network_)) EXPECT_TRUE(at::equal(before.at(name), tensor)) << name;
}

TEST_F(StateDictLoading, RefusesASuperfluousTensor) {
  given_["model.extra"] = at::ones({3});
  EXPECT_THAT(Load(), HasSubstr("model.extra (F32 [3]) is not one of the network's"));
}

TEST_F(StateDictLoading, RefusesAnotherShapeOrTypeAndCountsTheRest) {
  given_["model.map_layer0.bias"] = at::ones({3});
  given_["model.map_layer1.bias"] = at::ones({32}, at::kLong);
  EXPECT_THAT(Load(), AllOf(HasSubstr("model.map_layer0.bias: expected F32 [32], found F32 [3]"), HasSubstr("1 more")));
}

// The table of all parameters; buffers are carried.
class FlatWeights : public testing::Test {
 protected:
  FlatWeights() {
    std::vector<TensorEntry> entries;
    for (const auto& item : network_->named_parameters()) {
      entries.push_back({item.key(), DataType::kFloat32, item.value().sizes().vec()});
    }
    table_ = TensorTable(entries);
    flat_ = at::randn({table_.num_elements()});
    carried_["model.map_noise.freqs"] = at::ones({4});
  }

  const std::shared_ptr<Denoiser> network_ = MakeDenoiser(Small());
  TensorTable table_;
  at::Tensor flat_;
  NamedTensors carried_;
};

TEST_F(FlatWeights, AreTheNetworksOwnMemory) {
  BindFlatWeights(*network_, table_, flat_, carried_, "run.traj");
  const NamedTensors own = StateDict(*network_);
  EXPECT_TRUE(at::equal(own.at("model.map_noise.freqs"), at::ones({4})));
  for (const TensorEntry& entry : table_.entries()) {
    EXPECT_EQ(own.at(entry.name).data_ptr<float>(), flat_.data_ptr<float>() + entry.offset) << entry.name;
  }
  const at::NoGradGuard no_grad;
  network_->eval();
  const at::Tensor x = at::randn({2, 1, 4, 4}), sigma = at::ones({1});
  const at::Tensor before = network_->Denoise(x, sigma, {});
  flat_.mul_(0.5);
  const at::Tensor after = network_->Denoise(x, sigma, {});
  EXPECT_GT((before - after).abs().max().item<double>(), 1e-2);
  const auto separate = MakeDenoiser(Small());
  separate->eval();
  LoadStateDict(*separate, StateDict(*network_), "copy");
  EXPECT_LT((separate->Denoise(x, sigma, {}) - after).abs().max().item<double>(), 1e-5);
}

TEST_F(FlatWeights, CollectGradientsOfTheParameters) {
  BindFlatWeights(*network_, table_, flat_, carried_, "run.traj");
  network_->Denoise(at::randn({2, 1, 4, 4}), at::ones({1}), {}).sum().backward();
  EXPECT_TRUE(network_->named_parameters()["model.map_layer0.weight"].grad().defined());
}

TEST_F(FlatWeights, MustCoverTheWholeNetwork) {
  carried_.clear();
  EXPECT_THAT(MessageOf<InputError>([&] { BindFlatWeights(*network_, table_, flat_, carried_, "run.traj"); }),
              AllOf(HasSubstr("run.traj"), HasSubstr("model.map_noise.freqs is missing")));
}

TEST(LoadDenoiser, RefusesAFileWithoutNetworkJson) {
  const TempFolder folder;
  WriteSafetensors(folder / "bare.safetensors", {{"w", at::ones({1})}});
  EXPECT_THAT(MessageOf<InputError>([&] { LoadDenoiser(folder / "bare.safetensors"); }),
              AllOf(HasSubstr("bare.safetensors"), HasSubstr("no network JSON")));
  WriteSafetensors(folder / "broken.safetensors", {{"w", at::ones({1})}}, {{"config", "{"}});
  EXPECT_THAT(MessageOf<InputError>([&] { LoadDenoiser(folder / "broken.safetensors"); }),
              AllOf(HasSubstr("broken.safetensors"), HasSubstr("cannot be read")));
}

TEST(LoadFeatureExtractor, GivesTheFeaturesOfTheNetworkThatWasSaved) {
  const TempFolder folder;
  const nlohmann::json json = {{"model_type", "DigitsClassifier"}, {"channels", 8}, {"feature_dim", 16}};
  const auto saved = MakeFeatureExtractor(json);
  WriteSafetensors(folder / "e.safetensors", StateDict(*saved), {{"config", json.dump()}});
  const auto loaded = LoadFeatureExtractor(folder / "e.safetensors");
  const at::Tensor images = at::randint(0, 256, {5, 1, 8, 8}, at::kByte);
  EXPECT_FALSE(loaded->is_training());
  EXPECT_EQ(loaded->feature_dim(), 16);
  EXPECT_TRUE(at::equal(loaded->Features(images), saved->Features(images)));
}

}  // namespace
}  // namespace lcsc
