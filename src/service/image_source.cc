#include "lcsc/service/image_source.h"

#include <map>

#include "lcsc/base/error.h"

namespace lcsc {

SamplerOptions SamplerOf(const EvaluationOptions& options) {
  static const std::map<std::string, SamplerKind> kinds = {{"consistency", SamplerKind::kConsistency},
                                                           {"karras-heun", SamplerKind::kKarrasHeun},
                                                           {"edm-heun", SamplerKind::kEdmHeun}};
  SamplerOptions sampler{.kind = kinds.at(options.sampler),
                         .sigma_min = options.sigma_min,
                         .sigma_max = options.sigma_max,
                         .rho = options.rho,
                         .consistency_sigmas = options.consistency_sigmas,
                         .steps = static_cast<int>(options.steps)};
  if (sampler.sigma_min >= sampler.sigma_max) {
    throw ConfigError("evaluation.sigma_min: expected less than sigma_max = {}, found {}", sampler.sigma_max,
                      sampler.sigma_min);
  }
  double above = sampler.sigma_max;
  for (const double sigma : sampler.consistency_sigmas) {
    if (sigma >= above || sigma < sampler.sigma_min) {
      throw ConfigError("evaluation.consistency_sigmas: expected descending values in [{}, {}), found {}",
                        sampler.sigma_min, above, sigma);
    }
    above = sigma;
  }
  return sampler;
}

Quantisation QuantisationOf(const EvaluationOptions& options) {
  return options.quantisation == "edm" ? Quantisation::kEdm : Quantisation::kOpenAi;
}

at::Tensor DrawImages(Denoiser& network, const EvaluationOptions& options, SampleRange range) {
  const ImageShape shape{network.img_channels(), network.img_resolution(), network.img_resolution()};
  const auto noise = [&](std::uint32_t part) {
    return SampleNoise(static_cast<std::uint64_t>(options.seed), range, shape, part);
  };
  const at::Tensor images = Sample(network, SamplerOf(options), noise, SampleLabels(range, network.label_dim()));
  if (!at::isfinite(images).all().item<bool>()) return {};
  return Quantise(images, QuantisationOf(options));
}

}  // namespace lcsc
