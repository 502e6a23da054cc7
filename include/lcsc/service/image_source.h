// options + network -> images: the sampler that the options name, with noise, labels and conditioning of the sample's
// index.
#pragma once

#include "lcsc/config/evaluation_options.h"
#include "lcsc/model/image_scorer.h"
#include "lcsc/model/network.h"
#include "lcsc/sample/sampler.h"
#include "lcsc/service/conditioning_source.h"

namespace lcsc {

// The options' words as the sample room's types. Throws ConfigError when values do not fit together.
SamplerOptions SamplerOf(const EvaluationOptions& options);
Quantisation QuantisationOf(const EvaluationOptions& options);

// How often the network is called for one batch of images. Throws ConfigError when the options' sampler does
// not fit the network.
int FunctionEvaluationsOf(const EvaluationOptions& options, const Denoiser& network);

class ImageSource {
 public:
  // Reads the file of evaluation.conditioning. Throws InputError.
  explicit ImageSource(const EvaluationOptions& options);

  // uint8 [n, c, h, w]: the samples `range` of the options' noise, quantised, drawn in the options' precision.
  // Undefined when an image is not finite.
  at::Tensor Draw(Denoiser& network, SampleRange range) const;
  // The same values, floating-point, with the derivatives of the unquantised ones with respect to the weights.
  at::Tensor DrawDifferentiable(Denoiser& network, SampleRange range) const;
  // Of the same samples, for a network with so many classes.
  Conditioning ConditioningOf(SampleRange range, std::int64_t label_dim) const {
    return conditioning_.Of(range, label_dim);
  }
  // The same where there is no network or it has no classes.
  Conditioning WithoutClasses(SampleRange range) const { return conditioning_.WithoutClasses(range); }
  // Throws InputError when the file of evaluation.conditioning has a tensor that neither the network nor the scorer
  // takes. scorer: null when it is not asked; then anything passes where evaluation.scorer names one.
  void CheckConditioning(const Denoiser& network, const ImageScorer* scorer) const;
  // Calls the network once, on sample 0. Returns the shape [c, h, w] of its images. Throws InputError when it lacks an
  // input, ConfigError when it returns finished images and the sampler would call it again on them, or when it cannot
  // have the options' precision.
  std::vector<std::int64_t> Probe(Denoiser& network) const;

 private:
  at::Tensor DrawUnquantised(Denoiser& network, SampleRange range) const;

  EvaluationOptions options_;
  ConditioningSource conditioning_;
};

}  // namespace lcsc
