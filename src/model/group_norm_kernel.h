// Group normalisation with what stands before and behind it in a UNet, in one go over each image while it is in the
// cache. LibTorch's own takes a pass for each part, and for images with their channels last ten times as long.
#pragma once

#include <ATen/ATen.h>

namespace lcsc {

struct GroupNormInputs {
  at::Tensor x;             // float32 [n, c, h, w]
  std::int64_t groups = 1;  // divides c
  double eps = 1e-5;
  at::Tensor weight, bias;  // [c]
  at::Tensor shift;         // [n, c] or [1, c], added to x first; may be undefined
  at::Tensor gain, offset;  // likewise: the normalised z becomes (1 + gain) z + offset; both undefined, or none
  bool silu = false;        // z / (1 + exp(-z)) in the end
};

// Whether the kernel can do it: float32 on the CPU, channels last, in inference mode (no gradients of either kind).
bool FitsGroupNormKernel(const at::Tensor& x);

// REQUIRES: FitsGroupNormKernel(inputs.x). Returns a new tensor, channels last. Mean and variance are summed in float32
// over 64 tiles of a few pixels and in float64 beyond; exp is the C library's vector form, within 4 units in the last
// place.
at::Tensor GroupNormKernel(const GroupNormInputs& inputs);

}  // namespace lcsc
