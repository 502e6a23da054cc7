#include "lcsc/service/image_source.h"

#include <cmath>
#include <map>

#include "lcsc/base/error.h"
#include "lcsc/model/bare_network.h"
#include "lcsc/model/registry.h"

namespace lcsc {

namespace {

DpmSolverOptions DpmSolverOf(const EvaluationOptions& options) {
  using Prediction = DpmSolverOptions::Prediction;
  using Method = DpmSolverOptions::Method;
  return {.prediction = options.sampler == "dpm-solver++" ? Prediction::kData : Prediction::kNoise,
          .method = options.method == "multistep" ? Method::kMultistep : Method::kSinglestep,
          .order = static_cast<int>(options.order),
          .lower_order_final = options.lower_order_final == "on",
          .denoise_to_zero = options.denoise_to_zero == "on"};
}

void CheckDescending(const SamplerOptions& sampler) {
  double above = sampler.sigma_max;
  for (const double sigma : sampler.consistency_sigmas) {
    if (sigma >= above || sigma < sampler.sigma_min) {
      throw ConfigError("evaluation.consistency_sigmas: expected descending values in [{}, {}), found {}",
                        sampler.sigma_min, above, sigma);
    }
    above = sigma;
  }
}

std::vector<double> SigmasOfTs(const EvaluationOptions& options, const SamplerOptions& sampler) {
  if (!options.consistency_sigmas.empty()) {
    throw ConfigError("evaluation.ts: expected either ts or consistency_sigmas, found both");
  }
  std::vector<int> ts;
  for (const double index : options.ts) {
    if (index != std::floor(index)) throw ConfigError("evaluation.ts: expected whole numbers, found {}", index);
    ts.push_back(static_cast<int>(index));
  }
  try {
    return ConsistencySigmasFromGrid(ts, sampler.steps, sampler);
  } catch (const ConfigError& error) {
    throw ConfigError("evaluation.ts with evaluation.steps = {}: {}", sampler.steps, error.what());
  }
}

}  // namespace

SamplerOptions SamplerOf(const EvaluationOptions& options) {
  static const std::map<std::string, SamplerKind> kinds = {
      {"consistency", SamplerKind::kConsistency}, {"karras-euler", SamplerKind::kKarrasEuler},
      {"karras-heun", SamplerKind::kKarrasHeun},  {"karras-ancestral", SamplerKind::kKarrasAncestral},
      {"edm-heun", SamplerKind::kEdmHeun},        {"ddim", SamplerKind::kDdim},
      {"dpm-solver", SamplerKind::kDpmSolver},    {"dpm-solver++", SamplerKind::kDpmSolver}};
  static const std::map<std::string, SkipType> skips = {{"time_uniform", SkipType::kTimeUniform},
                                                        {"logsnr", SkipType::kLogSnr},
                                                        {"time_quadratic", SkipType::kTimeQuadratic}};
  SamplerOptions sampler{
      .kind = kinds.at(options.sampler),
      .sigma_min = options.sigma_min,
      .sigma_max = options.sigma_max,
      .rho = options.rho,
      .consistency_sigmas = options.consistency_sigmas,
      .steps = static_cast<int>(options.steps),
      .churn = {.s_churn = options.s_churn, .s_min = options.s_min, .s_max = options.s_max, .s_noise = options.s_noise},
      .skip = skips.at(options.skip),
      .eta = options.eta,
      .dpm_solver = DpmSolverOf(options)};
  if (sampler.sigma_min >= sampler.sigma_max) {
    throw ConfigError("evaluation.sigma_min: expected less than sigma_max = {}, found {}", sampler.sigma_max,
                      sampler.sigma_min);
  }
  if (sampler.kind != SamplerKind::kConsistency) return sampler;
  if (!options.ts.empty()) sampler.consistency_sigmas = SigmasOfTs(options, sampler);
  CheckDescending(sampler);
  return sampler;
}

int FunctionEvaluationsOf(const EvaluationOptions& options, const Denoiser& network) {
  return NumFunctionEvaluations(SamplerOf(options), network.schedule());
}

Quantisation QuantisationOf(const EvaluationOptions& options) {
  if (options.quantisation == "none") return Quantisation::kNone;
  return options.quantisation == "edm" ? Quantisation::kEdm : Quantisation::kOpenAi;
}

ImageSource::ImageSource(const EvaluationOptions& options)
    : options_(options), conditioning_(std::filesystem::path(options.conditioning)) {}

at::Tensor ImageSource::DrawUnquantised(Denoiser& network, SampleRange range) const {
  SetPrecision(network, PrecisionOf(options_.precision));
  const ImageShape shape{network.img_channels(), network.img_resolution(), network.img_resolution()};
  const auto noise = [&](std::uint32_t part) {
    return SampleNoise(static_cast<std::uint64_t>(options_.seed), range, shape, part);
  };
  return Sample(network, SamplerOf(options_), noise, conditioning_.Of(range, network.label_dim()));
}

at::Tensor ImageSource::Draw(Denoiser& network, SampleRange range) const {
  const at::Tensor images = DrawUnquantised(network, range);
  if (!at::isfinite(images).all().item<bool>()) return {};
  return Quantise(images, QuantisationOf(options_));
}

at::Tensor ImageSource::DrawDifferentiable(Denoiser& network, SampleRange range) const {
  return QuantiseStraightThrough(DrawUnquantised(network, range), QuantisationOf(options_));
}

void ImageSource::CheckConditioning(const Denoiser& network, const ImageScorer* scorer) const {
  if (options_.conditioning.empty() || (scorer == nullptr && !options_.scorer.empty())) return;
  const auto text = [](const std::string& who, const std::vector<std::string>& names) {
    return fmt::format("{} takes {}", who,
                       names.empty() ? "no conditioning" : fmt::format("{}", fmt::join(names, ", ")));
  };
  std::vector<std::string> names = ConditioningNames(network);
  std::string takers = text("the network", names);
  if (scorer != nullptr) {
    const std::vector<std::string> of_scorer = scorer->conditioning_names();
    takers += text(", the scorer", of_scorer);
    names.insert(names.end(), of_scorer.begin(), of_scorer.end());
  }
  conditioning_.CheckTaken(names, takers);
}

std::vector<std::int64_t> ImageSource::Probe(Denoiser& network) const {
  SetPrecision(network, PrecisionOf(options_.precision));
  const int calls = FunctionEvaluationsOf(options_, network);
  const std::int64_t resolution = network.img_resolution();
  const std::vector<std::int64_t> asked = {network.img_channels(), resolution, resolution};
  const double sigma = network.schedule().InitialScale();
  const at::Tensor x =
      SampleNoise(static_cast<std::uint64_t>(options_.seed), {0, 1}, {asked[0], resolution, resolution});
  const at::Tensor image =
      network.Denoise(x * sigma, at::full({1}, sigma, at::kFloat), conditioning_.Of({0, 1}, network.label_dim()));
  const std::vector<std::int64_t> found = image.sizes().slice(1).vec();
  const bool is_one_step = calls == 1 && SamplerOf(options_).kind == SamplerKind::kConsistency;
  if (found != asked && !is_one_step) {
    throw ConfigError(
        "evaluation.sampler {} with {} calls works on images of the size of the noise, but the network turns {} into "
        "{}; a "
        "network that returns finished images needs the sampler consistency with one step",
        options_.sampler, calls, ShapeText(asked), ShapeText(found));
  }
  return found;
}

}  // namespace lcsc
