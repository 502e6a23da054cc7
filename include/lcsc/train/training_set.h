// What one training iteration sees: images, noise levels and noise, a function of (seed, stage, iteration) alone, so
// that a resumed training sees what an uninterrupted one sees and no generator's state has to be saved.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

#include "lcsc/io/image_set.h"

namespace lcsc {

// The stages of a training, in their order.
enum class TrainingStage : std::uint32_t { kClassifier = 0, kDiffusion = 1, kTuning = 2 };

struct TrainingBatch {
  at::Tensor pixels;           // uint8 [n, c, h, w], drawn with replacement
  at::Tensor images;           // float32 [n, c, h, w]: pixels / 127.5 - 1
  at::Tensor classes;          // int64 [n]
  at::Tensor level_normals;    // float32 [n], standard normal: ln(sigma) = P_mean + P_std * level_normals
  at::Tensor noise;            // float32 [n, c, h, w], standard normal
  std::uint64_t dropout_seed;  // for torch's generator, before every evaluation of the network
};

struct TrainingSetOptions {
  std::uint64_t seed = 0;
  std::int64_t batch_size = 0;
};

class TrainingSet {
 public:
  // images: labelled, at least one.
  TrainingSet(ImageSet images, const TrainingSetOptions& options);

  TrainingBatch Draw(TrainingStage stage, std::int64_t iteration) const;
  // For torch's generator, before the stage's network is made.
  std::uint64_t InitialWeightsSeed(TrainingStage stage) const;

  const ImageSet& all() const { return set_; }
  std::int64_t num_classes() const { return num_classes_; }

 private:
  ImageSet set_;
  TrainingSetOptions options_;
  std::int64_t num_classes_;
};

}  // namespace lcsc
