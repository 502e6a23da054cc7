#include "lcsc/sample/noise.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace lcsc {
namespace {

constexpr ImageShape kShape{1, 8, 8};

TEST(SampleNoise, BelongsToTheSampleWhateverTheBatch) {
  const at::Tensor all = SampleNoise(5, {0, 40}, kShape);
  EXPECT_TRUE(at::equal(SampleNoise(5, {13, 29}, kShape), all.narrow(0, 13, 16)));
}

TEST(SampleNoise, IsTheSameWithSeveralThreads) {
  const ImageShape shape{3, 32, 32};
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = SampleNoise(5, {3, 60}, shape, 2);
  at::set_num_threads(4);
  const at::Tensor four = SampleNoise(5, {3, 60}, shape, 2);
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, four));
}

TEST(SampleNoise, DiffersBetweenSeedsSamplesAndParts) {
  const at::Tensor first = SampleNoise(5, {0, 1}, kShape);
  EXPECT_FALSE(at::equal(first, SampleNoise(6, {0, 1}, kShape)));
  EXPECT_FALSE(at::equal(first, SampleNoise(5, {1, 2}, kShape)));
  EXPECT_FALSE(at::equal(first, SampleNoise(5, {0, 1}, kShape, 1)));
}

// 256,000 normals: the mean's standard error is 0.002, the variance's 0.0028, the fourth moment's 0.02.
TEST(SampleNoise, HasTheMomentsOfTheStandardNormal) {
  const at::Tensor noise = SampleNoise(1, {0, 4000}, kShape).to(at::kDouble);
  EXPECT_EQ(noise.sizes(), at::IntArrayRef({4000, 1, 8, 8}));
  EXPECT_NEAR(noise.mean().item<double>(), 0, 0.01);
  EXPECT_NEAR(noise.square().mean().item<double>(), 1, 0.015);
  EXPECT_NEAR(noise.pow(4).mean().item<double>(), 3, 0.1);
}

TEST(SampleLabels, GoRoundTheClassesByTheIndexOfTheSample) {
  const at::Tensor labels = SampleLabels({4, 9}, 3);
  EXPECT_EQ(labels.sizes(), at::IntArrayRef({5, 3}));
  EXPECT_TRUE(at::equal(labels.sum(1), at::ones({5})));
  EXPECT_TRUE(at::equal(labels.argmax(1), at::tensor({1, 2, 0, 1, 2}, at::kLong)));
}

TEST(SampleLabels, AreUndefinedWithoutClasses) { EXPECT_FALSE(SampleLabels({0, 3}, 0).defined()); }

}  // namespace
}  // namespace lcsc
