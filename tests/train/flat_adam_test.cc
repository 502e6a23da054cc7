#include "lcsc/train/flat_adam.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lcsc/base/error.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

struct TwoTensors : torch::nn::Module {
  explicit TwoTensors(std::int64_t width = 3)
      : a(register_parameter("a", at::ones({2, width}))), b(register_parameter("b", at::zeros({2}))) {}
  at::Tensor Loss() { return a.sum() * 3 - b.sum() * 5; }
  at::Tensor a, b;
};

TEST(FlatAdam, MakesTheParametersViewsOfOneVector) {
  TwoTensors network;
  FlatAdam optimiser(network);
  const at::Tensor weights = optimiser.State().at("weights");
  EXPECT_EQ(weights.numel(), 8);
  EXPECT_TRUE(network.a.is_alias_of(weights));
  EXPECT_TRUE(network.b.is_alias_of(weights));
  EXPECT_TRUE(network.a.eq(1).all().item<bool>());
}

TEST(FlatAdam, FirstStepIsTheLearningRateAgainstTheGradientsSign) {
  TwoTensors network;
  FlatAdam optimiser(network);
  optimiser.Minimise(network.Loss(), 0.25);
  EXPECT_TRUE(network.a.allclose(at::full({2, 3}, 0.75)));
  EXPECT_TRUE(network.b.allclose(at::full({2}, 0.25)));
}

TEST(FlatAdam, FollowsTheAdamPaper) {
  TwoTensors network;
  FlatAdam optimiser(network);
  double weight = 1, mean = 0, square = 0;
  for (int step = 1; step <= 5; ++step) {
    optimiser.Minimise(network.a.square().sum(), 0.1);
    const double gradient = 2 * weight;
    mean = 0.9 * mean + 0.1 * gradient;
    square = 0.999 * square + 0.001 * gradient * gradient;
    const double unbiased_mean = mean / (1 - std::pow(0.9, step));
    const double unbiased_square = square / (1 - std::pow(0.999, step));
    weight -= 0.1 * unbiased_mean / (std::sqrt(unbiased_square) + 1e-8);
  }
  EXPECT_NEAR(network.a[0][0].item<double>(), weight, 1e-6);
}

TEST(FlatAdam, ContinuesFromARestoredStateBitForBit) {
  const auto train = [](TwoTensors& network, FlatAdam& optimiser, int steps) {
    for (int i = 0; i < steps; ++i) optimiser.Minimise((network.a.square() + network.a).sum(), 0.1);
  };
  TwoTensors uninterrupted, first, second;
  FlatAdam uninterrupted_adam(uninterrupted), first_adam(first), second_adam(second);
  train(uninterrupted, uninterrupted_adam, 7);
  train(first, first_adam, 3);
  second_adam.Restore(first_adam.State(), "state");
  train(second, second_adam, 4);
  EXPECT_TRUE(second.a.equal(uninterrupted.a));
  EXPECT_FALSE(second.a.equal(first.a));
}

TEST(FlatAdam, RefusesTheStateOfAnotherNetworkByName) {
  TwoTensors narrow(3), wide(4);
  FlatAdam narrow_adam(narrow), wide_adam(wide);
  const std::string message = MessageOf<InputError>([&] { wide_adam.Restore(narrow_adam.State(), "the-file"); });
  EXPECT_NE(message.find("the-file"), std::string::npos);
  EXPECT_NE(message.find("expected F32 [10], found [8]"), std::string::npos) << message;
}

}  // namespace
}  // namespace lcsc
