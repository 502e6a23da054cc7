// Self-attention over the pixels of a feature map, in the forms that the public UNets store it.
#pragma once

#include <memory>

#include "lcsc/model/layers.h"

namespace lcsc {

// How the channels of the projection to queries, keys and values are ordered.
enum class QkvLayout {
  kHeadDimThree,  // EDM
  kThreeHeadDim,  // consistency_models: b (three h d) s
  kHeadThreeDim,  // improved-diffusion, guided-diffusion: b (h three d) s
  kSeparate,      // ddim: three projections
};

struct SelfAttentionOptions {
  std::int64_t channels = 0;
  std::int64_t heads = 1;  // divides channels
  QkvLayout layout = QkvLayout::kHeadDimThree;
  bool one_dimensional = false;  // the projections are convolutions over flattened pixels
  GroupNormOptions norm = {};    // its channels are set here
  double skip_scale = 1;         // after the residual sum
  WeightInit qkv_init = {}, proj_init = {};
  // Names of the layers; with kSeparate the projections are q, k and v.
  const char* norm_name = "norm";
  const char* qkv_name = "qkv";
  const char* proj_name = "proj_out";
};

// x' = s (proj(attention(qkv(norm(x)))) + x), with scores q k / sqrt(channels per head), in float32.
// Registers its layers in `owner`. Throws ConfigError when the heads do not divide the channels.
class SelfAttention {
 public:
  SelfAttention(torch::nn::Module& owner, const SelfAttentionOptions& options);
  // x: [n, channels, h, w]; returns the same shape in memory of its own.
  at::Tensor Forward(const at::Tensor& x) const;

 private:
  // q, k, v: each [n heads, channels per head, pixels].
  std::vector<at::Tensor> Project(const at::Tensor& x) const;

  SelfAttentionOptions options_;
  std::shared_ptr<GroupNorm> norm_;
  std::vector<std::shared_ptr<Conv2d>> qkv_;  // one, or three when they are separate
  std::shared_ptr<Conv2d> proj_;
};

}  // namespace lcsc
