// The residual block of the EDM network family, with optional self-attention.
#pragma once

#include <memory>

#include "lcsc/model/layers.h"

namespace lcsc {

struct UNetBlockOptions {
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  std::int64_t emb_channels = 0;
  Resample resample = Resample::kNone;
  std::vector<double> resample_filter = {1, 1};
  bool attention = false;  // one head over all channels
  double dropout = 0;
  double eps = 1e-5;      // of the group norms
  double skip_scale = 1;  // after each residual sum
  double attn_init = 1;   // scale of the fresh qkv weights
  double last_init = 1;   // scale of the fresh weights of a branch's last layer
};

// x' = s (conv1(silu(norm1(conv0(silu(norm0(x))) + affine(emb)))) + skip(x)), then
// x'' = s (proj(attention(qkv(norm2(x')))) + x').
class UNetBlock : public torch::nn::Module {
 public:
  explicit UNetBlock(const UNetBlockOptions& options);
  // x: [n, in_channels, h, w]; emb: [n or 1, emb_channels]. Returns [n, out_channels, h', w'].
  at::Tensor Forward(const at::Tensor& x, const at::Tensor& emb) const;

 private:
  at::Tensor Attend(const at::Tensor& x) const;

  UNetBlockOptions options_;
  std::shared_ptr<GroupNorm> norm0_, norm1_, norm2_;
  std::shared_ptr<Conv2d> conv0_, conv1_, skip_, qkv_, proj_;
  std::shared_ptr<Linear> affine_;
};

}  // namespace lcsc
