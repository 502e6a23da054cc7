#include <algorithm>
#include <cmath>

#include "lcsc/base/error.h"
#include "samplers.h"

namespace lcsc {

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

}  // namespace lcsc
