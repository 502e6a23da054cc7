// uint8 images of any size -> the input of the FID Inception.
#pragma once

#include <ATen/ATen.h>

#include "lcsc/model/inception.h"

namespace lcsc {

constexpr std::int64_t kInceptionSide = 299;

// images: uint8 [n, 3 or 1, h, w] on the CPU. Returns float32 [n, 3, 299, 299], channels_last, resized and scaled as
// the protocol says, in one pass. Floating-point values in [0, 255]: the same within rounding, differentiable.
at::Tensor InceptionInput(const at::Tensor& images, InceptionProtocol protocol);

}  // namespace lcsc
