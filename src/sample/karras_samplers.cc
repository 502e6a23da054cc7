#include <algorithm>
#include <cmath>
#include <numbers>

#include "lcsc/base/error.h"
#include "samplers.h"

namespace lcsc {
namespace {

// The grid as consistency_models computes it, in float32: a root's rounding error is raised to rho, and the first steps
// from a large noise level show it in the images.
std::vector<double> GridInFloat32(const SamplerOptions& options) {
  std::vector<double> sigmas = KarrasSigmas(options.steps, options.sigma_min, options.sigma_max, options.rho);
  const double top = std::pow(options.sigma_max, 1 / options.rho),
               bottom = std::pow(options.sigma_min, 1 / options.rho);
  for (int i = 0; i < options.steps; ++i) {
    const float ramp = static_cast<float>(i) / static_cast<float>(options.steps - 1);
    const float root = static_cast<float>(top) + ramp * static_cast<float>(bottom - top);
    sigmas[static_cast<std::size_t>(i)] = std::pow(root, static_cast<float>(options.rho));
  }
  return sigmas;
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

at::Tensor SampleEuler(const BatchDenoiser& denoise, const SamplerOptions& options, const NoiseSource& noise) {
  const std::vector<double> sigmas = GridInFloat32(options);
  at::Tensor x = noise(0) * sigmas.front();
  for (std::size_t i = 0; i + 1 < sigmas.size(); ++i) {
    x = x + (x - denoise(x, sigmas[i])) * ((sigmas[i + 1] - sigmas[i]) / sigmas[i]);
  }
  return x;
}

// Each step goes down to sigma_down and up again by fresh noise: sigma_down^2 + sigma_up^2 = t_next^2, in the shares
// that the posterior of the noising process has (Ho et al. 2020, eq. 7).
at::Tensor SampleAncestral(const BatchDenoiser& denoise, const SamplerOptions& options, const NoiseSource& noise) {
  const std::vector<double> sigmas = GridInFloat32(options);
  at::Tensor x = noise(0) * sigmas.front();
  for (std::size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double t = sigmas[i], t_next = sigmas[i + 1];
    const double sigma_up = t_next * std::sqrt((t * t - t_next * t_next) / (t * t));
    const double sigma_down = t_next * t_next / t;
    x = x + (x - denoise(x, t)) * ((sigma_down - t) / t);
    if (sigma_up > 0) x = x + noise(static_cast<std::uint32_t>(i + 1)) * sigma_up;
  }
  return x;
}

// Karras et al. 2022, Alg. 2.
at::Tensor SampleHeun(const BatchDenoiser& denoise, const SamplerOptions& options, const NoiseSource& noise,
                      at::ScalarType state_type) {
  const std::vector<double> sigmas =
      state_type == at::kDouble ? KarrasSigmas(options.steps, options.sigma_min, options.sigma_max, options.rho)
                                : GridInFloat32(options);
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

}  // namespace lcsc
