// A small classifier of gray images, whose penultimate activations are features for the Fréchet distance.
#pragma once

#include <memory>

#include "lcsc/model/layers.h"
#include "lcsc/model/network.h"

namespace lcsc {

struct DigitsClassifierOptions {
  std::int64_t img_resolution = 8;  // even
  std::int64_t img_channels = 1;
  std::int64_t channels = 32;
  std::int64_t feature_dim = 64;
  std::int64_t num_classes = 10;
};

// silu(conv3x3), silu(conv3x3 at half the resolution, twice the channels), silu(conv3x3), silu(linear) = features,
// linear = logits.
class DigitsClassifier : public FeatureExtractor {
 public:
  explicit DigitsClassifier(const DigitsClassifierOptions& options);

  // Both take uint8 [n, img_channels, img_resolution, img_resolution] (mapped to [-1, 1]) and throw InputError for
  // another shape or type. Differentiable in the weights.
  at::Tensor Features(const at::Tensor& images) override;
  Extraction Extract(const at::Tensor& images) override;
  // float32 [n, num_classes], before the softmax.
  at::Tensor Logits(const at::Tensor& images);

  std::int64_t feature_dim() const override { return options_.feature_dim; }
  std::string protocol() const override { return "digits"; }
  std::int64_t num_classes() const { return options_.num_classes; }

 private:
  DigitsClassifierOptions options_;
  std::shared_ptr<Conv2d> conv0_, conv1_, conv2_;
  std::shared_ptr<Linear> feature_, logit_;
};

}  // namespace lcsc
