#include "lcsc/sample/sampler.h"

#include "lcsc/base/error.h"
#include "samplers.h"

namespace lcsc {
namespace {

// float64 or float32: others are converted where they are used.
at::ScalarType WeightType(const Denoiser& network) {
  const std::vector<at::Tensor> parameters = network.parameters();
  return !parameters.empty() && parameters.front().scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

void CheckKarrasSteps(const SamplerOptions& options) {
  KarrasSigmas(options.steps, options.sigma_min, options.sigma_max, options.rho);
}

// DDIM and DPM-Solver derive the network's time from the level, which float32 would blur where time is dense.
at::Tensor SampleFrom(Denoiser& network, const SamplerOptions& options, const NoiseSource& noise,
                      const Conditioning& conditioning) {
  const at::ScalarType type = WeightType(network);
  const bool recompute = at::GradMode::is_enabled() && NumFunctionEvaluations(options, network.schedule()) > 1;
  const auto denoiser = [&](BatchDenoiser::Options how) {
    how.image_type = type;
    how.recompute = recompute;
    return BatchDenoiser(network, conditioning, how);
  };
  const BatchDenoiser clamped = denoiser({.clamp = true, .level_type = at::kFloat});
  const BatchDenoiser edm = denoiser({.level_type = at::kFloat});
  const BatchDenoiser exact = denoiser({});
  switch (options.kind) {
    case SamplerKind::kConsistency:
      return SampleConsistency(clamped, options, noise);
    case SamplerKind::kKarrasEuler:
      return ClampFinite(SampleEuler(clamped, options, noise));
    case SamplerKind::kKarrasHeun:
      return ClampFinite(SampleHeun(clamped, options, noise, at::kFloat));
    case SamplerKind::kKarrasAncestral:
      return ClampFinite(SampleAncestral(clamped, options, noise));
    case SamplerKind::kEdmHeun:
      return SampleHeun(edm, options, noise, at::kDouble);
    case SamplerKind::kDdim:
      return SampleDdim(exact, options, noise);
    case SamplerKind::kDpmSolver:
      return SampleDpmSolver(exact, options, noise);
  }
  throw InvariantError("a sampler without an implementation");
}

at::Tensor PixelsOf(const at::Tensor& images, Quantisation rule) {
  const at::Tensor scaled = rule == Quantisation::kEdm ? images * 127.5 + 128 : (images + 1) * 127.5;
  return scaled.clamp(0, 255);
}

}  // namespace

int NumFunctionEvaluations(const SamplerOptions& options, const NoiseSchedule& schedule) {
  switch (options.kind) {
    case SamplerKind::kConsistency:
      return 1 + static_cast<int>(options.consistency_sigmas.size());
    case SamplerKind::kKarrasEuler:
    case SamplerKind::kKarrasAncestral:
      CheckKarrasSteps(options);
      return options.steps;
    case SamplerKind::kKarrasHeun:
    case SamplerKind::kEdmHeun:
      CheckKarrasSteps(options);
      return 2 * options.steps - 1;
    case SamplerKind::kDdim:
      return static_cast<int>(DdimSteps(options, schedule).size());
    case SamplerKind::kDpmSolver:
      return DpmSolverEvaluations(options);
  }
  throw InvariantError("a sampler without an implementation");
}

at::Tensor Sample(Denoiser& network, const SamplerOptions& options, const NoiseSource& noise,
                  const Conditioning& conditioning) {
  NumFunctionEvaluations(options, network.schedule());
  return SampleFrom(network, options, noise, conditioning).to(WeightType(network));
}

at::Tensor Quantise(const at::Tensor& images, Quantisation rule) {
  const at::Tensor pixels = PixelsOf(images, rule);
  return rule == Quantisation::kNone ? pixels : pixels.to(at::kByte);
}

at::Tensor QuantiseStraightThrough(const at::Tensor& images, Quantisation rule) {
  const at::Tensor pixels = PixelsOf(images, rule);
  return rule == Quantisation::kNone ? pixels : pixels + (pixels.detach().trunc() - pixels.detach());
}

}  // namespace lcsc
