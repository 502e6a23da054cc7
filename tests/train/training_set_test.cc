#include "lcsc/train/training_set.h"

#include <gtest/gtest.h>

namespace lcsc {
namespace {

// Image i has every pixel i and class i mod 10.
TrainingSet NumberedImages(std::uint64_t seed) {
  const at::Tensor numbers = at::arange(200, at::kLong);
  const at::Tensor images = numbers.to(at::kByte).view({200, 1, 1, 1}).expand({200, 1, 2, 2}).contiguous();
  return TrainingSet({images, numbers.remainder(10)}, {.seed = seed, .batch_size = 4000});
}

bool SameBatch(const TrainingBatch& a, const TrainingBatch& b) {
  return a.pixels.equal(b.pixels) && a.noise.equal(b.noise) && a.level_normals.equal(b.level_normals) &&
         a.dropout_seed == b.dropout_seed;
}

TEST(TrainingSet, ScalesPixelsToMinusOneToOne) {
  const TrainingBatch batch = NumberedImages(1).Draw(TrainingStage::kDiffusion, 0);
  EXPECT_TRUE(batch.images.allclose((batch.pixels.to(at::kFloat) - 127.5) / 127.5, 0, 1e-6));
}

TEST(TrainingSet, KeepsEveryImagesClass) {
  const TrainingBatch batch = NumberedImages(1).Draw(TrainingStage::kDiffusion, 0);
  EXPECT_TRUE(batch.classes.equal(batch.pixels.select(1, 0).select(1, 0).select(1, 0).to(at::kLong).remainder(10)));
}

TEST(TrainingSet, DrawsEveryImageEquallyOften) {
  const TrainingBatch batch = NumberedImages(1).Draw(TrainingStage::kDiffusion, 0);
  const at::Tensor counts = at::bincount(batch.pixels.select(1, 0).select(1, 0).select(1, 0), {}, 200);
  EXPECT_EQ(counts.numel(), 200);
  EXPECT_GT(counts.min().item<int>(), 4);  // mean 20, standard deviation 4.5
  EXPECT_LT(counts.max().item<int>(), 43);
}

TEST(TrainingSet, DrawsStandardNormals) {
  const TrainingBatch batch = NumberedImages(1).Draw(TrainingStage::kDiffusion, 0);
  for (const at::Tensor& normals : {batch.noise, batch.level_normals}) {
    EXPECT_NEAR(normals.mean().item<double>(), 0, 0.08);
    EXPECT_NEAR(normals.std().item<double>(), 1, 0.06);
  }
}

TEST(TrainingSet, DrawsTheSameBatchForTheSameIteration) {
  const TrainingBatch batch = NumberedImages(1).Draw(TrainingStage::kTuning, 7);
  EXPECT_TRUE(SameBatch(batch, NumberedImages(1).Draw(TrainingStage::kTuning, 7)));
  EXPECT_FALSE(SameBatch(batch, NumberedImages(1).Draw(TrainingStage::kTuning, 8)));
  EXPECT_FALSE(SameBatch(batch, NumberedImages(1).Draw(TrainingStage::kDiffusion, 7)));
  EXPECT_FALSE(SameBatch(batch, NumberedImages(2).Draw(TrainingStage::kTuning, 7)));
}

TEST(TrainingSet, SeedsEveryStagesWeightsDifferently) {
  const TrainingSet set = NumberedImages(1);
  EXPECT_NE(set.InitialWeightsSeed(TrainingStage::kClassifier), set.InitialWeightsSeed(TrainingStage::kDiffusion));
  EXPECT_NE(set.InitialWeightsSeed(TrainingStage::kClassifier),
            NumberedImages(2).InitialWeightsSeed(TrainingStage::kClassifier));
}

}  // namespace
}  // namespace lcsc
