#include "lcsc/sample/sampler.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

// The network as a sampler sees it: a state of any type and one noise level for the whole batch.
class BatchDenoiser {
 public:
  BatchDenoiser(Denoiser& network, const Conditioning& conditioning, bool clamp)
      : network_(network), conditioning_(conditioning), clamp_(clamp) {}

  at::Tensor operator()(const at::Tensor& x, double sigma) const {
    const at::Tensor level = at::full({1}, sigma, x.options().dtype(at::kFloat));
    const at::Tensor denoised = network_.Denoise(x.to(at::kFloat), level, conditioning_);
    return clamp_ ? denoised.clamp(-1, 1) : denoised;
  }

 private:
  Denoiser& network_;
  const Conditioning& conditioning_;
  bool clamp_;
};

// Song et al. 2023, Alg. 1. A denoised image counts as noisy at sigma_min: only the variance above that is added.
at::Tensor SampleConsistency(const BatchDenoiser& denoise, const SamplerOptions& options, const NoiseSource& noise) {
  at::Tensor x = denoise(noise(0) * options.sigma_max, options.sigma_max);
  std::uint32_t part = 0;
  for (const double sigma : options.consistency_sigmas) {
    const double level = std::clamp(sigma, options.sigma_min, options.sigma_max);
    const double added = std::sqrt(level * level - options.sigma_min * options.sigma_min);
    x = denoise(x + noise(++part) * added, level);
  }
  return x;
}

// Karras et al. 2022, Alg. 2.
at::Tensor SampleHeun(const BatchDenoiser& denoise, const SamplerOptions& options, const NoiseSource& noise,
                      at::ScalarType state_type) {
  const std::vector<double> sigmas = KarrasSigmas(options.steps, options.sigma_min, options.sigma_max, options.rho);
  const Churn& churn = options.churn;
  at::Tensor x = noise(0).to(state_type) * sigmas.front();
  for (std::size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double t = sigmas[i], t_next = sigmas[i + 1];
    const bool churned = t >= churn.s_min && t <= churn.s_max;
    const double gamma = churned ? std::min(churn.s_churn / options.steps, std::numbers::sqrt2 - 1) : 0;
    const double t_hat = t * (1 + gamma);
    if (gamma > 0) {
      x = x + noise(static_cast<std::uint32_t>(i + 1)) * (churn.s_noise * std::sqrt(t_hat * t_hat - t * t));
    }
    const at::Tensor slope = (x - denoise(x, t_hat)) / t_hat;
    const at::Tensor euler = x + slope * (t_next - t_hat);
    if (t_next == 0) return euler;
    const at::Tensor slope_next = (euler - denoise(euler, t_next)) / t_next;
    x = x + (slope + slope_next) * (0.5 * (t_next - t_hat));
  }
  return x;
}

}  // namespace

std::vector<double> KarrasSigmas(int steps, double sigma_min, double sigma_max, double rho) {
  if (steps < 2) throw ConfigError("steps is {}; a Karras grid has at least 2 noise levels", steps);
  const double top = std::pow(sigma_max, 1 / rho), bottom = std::pow(sigma_min, 1 / rho);
  std::vector<double> sigmas;
  for (int i = 0; i < steps; ++i) sigmas.push_back(std::pow(top + i / (steps - 1.0) * (bottom - top), rho));
  sigmas.push_back(0);
  return sigmas;
}

std::vector<double> ConsistencySigmasFromGrid(const std::vector<int>& ts, int grid_steps,
                                              const SamplerOptions& options) {
  const bool ascends = std::ranges::adjacent_find(ts, std::ranges::greater_equal()) == ts.end();
  if (ts.size() < 2 || !ascends || ts.front() != 0 || ts.back() != grid_steps - 1) {
    throw ConfigError("the steps [{}] of a consistency sampler; expected indices that ascend from 0 to {}",
                      fmt::join(ts, ", "), grid_steps - 1);
  }
  const std::vector<double> grid = KarrasSigmas(grid_steps, options.sigma_min, options.sigma_max, options.rho);
  std::vector<double> sigmas;
  for (std::size_t i = 1; i + 1 < ts.size(); ++i) sigmas.push_back(grid[static_cast<std::size_t>(ts[i])]);
  return sigmas;
}

int NumFunctionEvaluations(const SamplerOptions& options) {
  if (options.kind == SamplerKind::kConsistency) return 1 + static_cast<int>(options.consistency_sigmas.size());
  return 2 * options.steps - 1;
}

at::Tensor Sample(Denoiser& network, const SamplerOptions& options, const NoiseSource& noise,
                  const Conditioning& conditioning) {
  const BatchDenoiser denoise(network, conditioning, /*clamp=*/options.kind != SamplerKind::kEdmHeun);
  switch (options.kind) {
    case SamplerKind::kConsistency:
      return SampleConsistency(denoise, options, noise);
    case SamplerKind::kKarrasHeun:
      return SampleHeun(denoise, options, noise, at::kFloat).clamp(-1, 1);
    case SamplerKind::kEdmHeun:
      return SampleHeun(denoise, options, noise, at::kDouble).to(at::kFloat);
  }
  throw InvariantError("a sampler without an implementation");
}

at::Tensor Quantise(const at::Tensor& images, Quantisation rule) {
  const at::Tensor scaled = rule == Quantisation::kEdm ? images * 127.5 + 128 : (images + 1) * 127.5;
  return scaled.clamp(0, 255).to(at::kByte);
}

}  // namespace lcsc
