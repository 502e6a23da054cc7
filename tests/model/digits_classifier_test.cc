#include "lcsc/model/digits_classifier.h"

#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lcsc/base/error.h"
#include "lcsc/model/registry.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

at::Tensor RandomImages(std::int64_t n) { return at::randint(0, 256, {n, 1, 8, 8}, at::kByte); }

TEST(DigitsClassifier, GivesAnImageTheSameFeaturesInEveryBatch) {
  DigitsClassifier network({});
  const at::Tensor images = RandomImages(300);
  const at::Tensor whole = network.Features(images);
  EXPECT_EQ(whole.sizes(), at::IntArrayRef({300, 64}));
  for (const auto& [begin, size] : {std::pair{0, 1}, std::pair{1, 7}, std::pair{40, 250}}) {
    const at::Tensor part = network.Features(images.narrow(0, begin, size));
    EXPECT_LT((part - whole.narrow(0, begin, size)).abs().max().item<double>(), 1e-5);
  }
}

TEST(DigitsClassifier, MapsFeaturesToLogitsLinearly) {
  DigitsClassifier network({});
  const at::Tensor images = RandomImages(4);
  const NamedTensors tensors = StateDict(network);
  const at::Tensor expected = network.Features(images).mm(tensors.at("logit.weight").t()) + tensors.at("logit.bias");
  EXPECT_LT((network.Logits(images) - expected).abs().max().item<double>(), 1e-5);
  EXPECT_EQ(network.Logits(images).sizes(), at::IntArrayRef({4, 10}));
}

TEST(DigitsClassifier, GivesTheFeatureThatOneComputesByHand) {
  DigitsClassifier network({.img_resolution = 2, .channels = 1, .feature_dim = 1});
  const at::NoGradGuard no_grad;
  NamedTensors tensors = StateDict(network);
  for (auto& [name, tensor] : tensors) {
    if (name != "conv1.resample_filter") tensor.zero_();
  }
  tensors.at("conv0.weight").index({0, 0, 1, 1}).fill_(2);
  tensors.at("conv1.weight").index({0, 0, 1, 1}).fill_(3);
  tensors.at("conv2.weight").index({0, 0, 1, 1}).fill_(-1);
  tensors.at("feature.weight").index({0, 0}).fill_(4);
  tensors.at("feature.bias").fill_(0.5);
  const auto silu = [](double x) { return x / (1 + std::exp(-x)); };
  const at::Tensor image = at::tensor({255, 0, 255, 255}, at::kByte).view({1, 1, 2, 2});  // 1, -1, 1, 1
  const double pooled = (3 * silu(2) + silu(-2)) / 4;
  EXPECT_NEAR(network.Features(image).item<double>(), silu(4 * silu(-silu(3 * pooled)) + 0.5), 1e-6);
}

TEST(DigitsClassifier, LearnsFromItsLogits) {
  DigitsClassifier network({});
  at::cross_entropy_loss(network.Logits(RandomImages(8)), at::arange(8)).backward();
  for (const auto& item : network.named_parameters()) {
    ASSERT_TRUE(item.value().grad().defined()) << item.key();
    EXPECT_GT(item.value().grad().abs().max().item<double>(), 0) << item.key();
  }
}

TEST(DigitsClassifier, RefusesImagesOfAnotherShapeOrType) {
  DigitsClassifier network({});
  EXPECT_THAT(MessageOf<InputError>([&] {
                network.Features(at::zeros({2, 3, 8, 8}, at::kByte));
              }),
              AllOf(HasSubstr("[n, 1, 8, 8]"), HasSubstr("[2, 3, 8, 8]")));
  EXPECT_THAT(MessageOf<InputError>([&] { network.Features(at::zeros({2, 1, 8, 8}, at::kInt)); }), HasSubstr("Int"));
}

}  // namespace
}  // namespace lcsc
