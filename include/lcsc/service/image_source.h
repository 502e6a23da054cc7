// options + network -> images: the sampler that the options name, with noise and labels of the sample's index.
#pragma once

#include "lcsc/config/evaluation_options.h"
#include "lcsc/model/network.h"
#include "lcsc/sample/sampler.h"

namespace lcsc {

// The options' words as the sample room's types. Throws ConfigError when values do not fit together.
SamplerOptions SamplerOf(const EvaluationOptions& options);
Quantisation QuantisationOf(const EvaluationOptions& options);

// How often the network is called for one batch of images. Throws ConfigError when the options' sampler does
// not fit the network.
int FunctionEvaluationsOf(const EvaluationOptions& options, const Denoiser& network);

// uint8 [n, c, h, w]: the samples `range` of the options' noise, quantised. Undefined when an image is not finite.
at::Tensor DrawImages(Denoiser& network, const EvaluationOptions& options, SampleRange range);

}  // namespace lcsc
