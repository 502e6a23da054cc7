// The families of samplers behind Sample, and what they share.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "lcsc/sample/sampler.h"
#include "recomputed.h"

namespace lcsc {

// [-1, 1]; what is infinite becomes NaN and not white or black, so that a network that overflows is found out.
inline at::Tensor ClampFinite(const at::Tensor& images) { return images.clamp(-1, 1).add(images * 0); }

// The network as a sampler sees it: a state of any type and one noise level for the whole batch.
class BatchDenoiser {
 public:
  struct Options {
    bool clamp = false;                       // the denoised images, to [-1, 1]
    at::ScalarType level_type = at::kDouble;  // of the noise level that the network is told
    at::ScalarType image_type = at::kFloat;   // of the images that it is given
    bool recompute = false;                   // autograd calls the network again in the place of keeping what it did
  };
  BatchDenoiser(Denoiser& network, const Conditioning& conditioning, Options options)
      : network_(network), conditioning_(conditioning), options_(options) {}

  // x: [n, c, h, w] in EDM's units. Returns what the network does: float32 [n, c, h, w].
  at::Tensor operator()(const at::Tensor& x, double sigma) const {
    const at::Tensor level = at::full({1}, sigma, x.options().dtype(options_.level_type));
    const at::Tensor images = x.to(options_.image_type);
    const at::Tensor denoised = options_.recompute ? DenoiseRecomputed(network_, images, level, conditioning_)
                                                   : network_.Denoise(images, level, conditioning_);
    return options_.clamp ? ClampFinite(denoised) : denoised;
  }
  const NoiseSchedule& schedule() const { return network_.schedule(); }

 private:
  Denoiser& network_;
  const Conditioning& conditioning_;
  Options options_;
};

at::Tensor SampleConsistency(const BatchDenoiser& denoise, const SamplerOptions& options, const NoiseSource& noise);

at::Tensor SampleEuler(const BatchDenoiser& denoise, const SamplerOptions& options, const NoiseSource& noise);
at::Tensor SampleAncestral(const BatchDenoiser& denoise, const SamplerOptions& options, const NoiseSource& noise);
// The state is of `state_type`.
at::Tensor SampleHeun(const BatchDenoiser& denoise, const SamplerOptions& options, const NoiseSource& noise,
                      at::ScalarType state_type);

// The discrete steps that DDIM visits, of 0..N-1, ascending; one call each. Throws ConfigError when the process is not
// discrete, has fewer steps, or `options.skip` is not DDIM's.
std::vector<std::int64_t> DdimSteps(const SamplerOptions& options, const NoiseSchedule& schedule);
// float64.
at::Tensor SampleDdim(const BatchDenoiser& denoise, const SamplerOptions& options, const NoiseSource& noise);

// Throws ConfigError when the steps are too few for the order.
int DpmSolverEvaluations(const SamplerOptions& options);
// float64.
at::Tensor SampleDpmSolver(const BatchDenoiser& denoise, const SamplerOptions& options, const NoiseSource& noise);

}  // namespace lcsc
