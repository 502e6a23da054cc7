// Images of one network, as `lcsc sample` and `lcsc report` draw them.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>

#include "lcsc/config/evaluation_options.h"
#include "lcsc/model/network.h"

namespace lcsc {

struct DrawingOptions {
  std::string weights;  // what the messages call them
  std::int64_t num_images = 0;
};

// uint8 [num_images, c, h, w]: the first samples of the noise that the evaluation options name. Throws InputError when
// an image is not finite, and what ImageSource throws of a network that does not fit.
at::Tensor DrawImages(Denoiser& network, const EvaluationOptions& evaluation, const DrawingOptions& options);

}  // namespace lcsc
