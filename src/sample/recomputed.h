// A network's answer that autograd keeps nothing of but the question (Chen et al. 2016, section 4: activation
// checkpointing, a call of the network being a segment).
#pragma once

#include "lcsc/model/network.h"

namespace lcsc {

// As network.Denoise, with the same derivatives with respect to x and to the network's weights: the backward pass
// calls the network again. REQUIRES: the network lives, and its weights are the same, until then.
at::Tensor DenoiseRecomputed(Denoiser& network, const at::Tensor& x, const at::Tensor& sigma,
                             const Conditioning& conditioning);

}  // namespace lcsc
