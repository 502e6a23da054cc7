// What the samplers and the extractor's users see of a network.
#pragma once

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include <nlohmann/json.hpp>

namespace lcsc {

// D(x; sigma): a preconditioned denoiser or a consistency function. Tensor names are those of the public code base
// whose checkpoints it loads; integer tensors and running statistics are buffers, the rest parameters.
class Denoiser : public torch::nn::Module {
 public:
  ~Denoiser() override = default;
  // x: float32 [n, c, h, w]; sigma: float32 [n] or [1]; labels: one-hot float32 [n, label_dim], undefined when
  // label_dim() is 0 (or for all-zero labels). Returns float32 [n, c, h, w]. Differentiable.
  virtual at::Tensor Denoise(const at::Tensor& x, const at::Tensor& sigma, const at::Tensor& labels) = 0;
  virtual std::int64_t img_channels() const = 0;
  virtual std::int64_t img_resolution() const = 0;
  virtual std::int64_t label_dim() const = 0;
};

// images -> features.
class FeatureExtractor : public torch::nn::Module {
 public:
  ~FeatureExtractor() override = default;
  // images: uint8 [n, c, h, w]. Returns float32 [n, feature_dim()].
  virtual at::Tensor Features(const at::Tensor& images) = 0;
  virtual std::int64_t feature_dim() const = 0;
};

}  // namespace lcsc
