// The residual block that all UNets here share, with optional self-attention.
#pragma once

#include <optional>

#include "lcsc/model/attention.h"

namespace lcsc {

// What a code base calls the layers of its block.
struct UNetBlockNames {
  const char *norm0, *conv0, *affine, *norm1, *conv1, *skip;
};
constexpr UNetBlockNames kEdmBlockNames = {"norm0", "conv0", "affine", "norm1", "conv1", "skip"};
constexpr UNetBlockNames kAdmBlockNames = {"in_layers.0",  "in_layers.2",  "emb_layers.1",
                                           "out_layers.0", "out_layers.3", "skip_connection"};
constexpr UNetBlockNames kDdpmBlockNames = {"norm1", "conv1", "temb_proj", "norm2", "conv2", "nin_shortcut"};

struct UNetBlockOptions {
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  std::int64_t emb_channels = 0;
  Resample resample = Resample::kNone;
  std::vector<double> resample_filter = {1, 1};  // as of Conv2d: none repeats or averages pixels
  bool resample_proj = false;                    // a resampled residual passes a 1x1 convolution even if in == out
  bool adaptive_scale = false;                   // the embedding scales and shifts what norm1 gives
  std::int64_t heads = 0;                        // of the block's own attention (EDM's names); 0 is none
  double dropout = 0;
  double eps = 1e-5;          // of the group norms
  std::int64_t groups = 0;    // of the group norms; 0: min(32, channels / 4)
  double skip_scale = 1;      // after each residual sum
  WeightInit init = {};       // fresh weights
  WeightInit attn_init = {};  // those of qkv
  WeightInit last_init = {};  // those of a branch's last layer
  UNetBlockNames names = kEdmBlockNames;
};

// x' = s (conv1(silu(norm1(conv0(silu(norm0(x))) + affine(emb)))) + skip(x)), or with adaptive_scale, where
// (scale, shift) = affine(emb), conv1(silu(norm1(conv0(silu(norm0(x)))) (1 + scale) + shift)); then the attention.
class UNetBlock : public torch::nn::Module {
 public:
  explicit UNetBlock(const UNetBlockOptions& options);
  // x: [n, in_channels, h, w]; emb: float32 [n or 1, emb_channels]. Returns [n, out_channels, h', w'].
  at::Tensor Forward(const at::Tensor& x, const at::Tensor& emb) const;

 private:
  // norm1 with what the embedding has to say.
  at::Tensor Modulated(const at::Tensor& hidden, const at::Tensor& emb) const;

  UNetBlockOptions options_;
  std::shared_ptr<GroupNorm> norm0_, norm1_;
  std::shared_ptr<Conv2d> conv0_, conv1_, skip_;
  std::shared_ptr<Linear> affine_;
  std::optional<SelfAttention> attention_;
};

}  // namespace lcsc
