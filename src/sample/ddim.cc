#include <algorithm>
#include <cmath>

#include "lcsc/base/error.h"
#include "samplers.h"

namespace lcsc {
namespace {

double LevelOf(std::int64_t step, const NoiseSchedule& schedule) {
  return schedule.NoiseLevel(static_cast<double>(step + 1) / static_cast<double>(schedule.num_timesteps()));
}

// ddim's "quad", by the same arithmetic: its squares are often whole numbers, which a rounding error would truncate.
std::vector<std::int64_t> QuadraticSteps(std::int64_t n, int num_steps) {
  const double last = std::sqrt(static_cast<double>(n) * 0.8);
  const double spacing = last / std::max(num_steps - 1, 1);
  std::vector<std::int64_t> steps;
  for (int i = 0; i < num_steps; ++i) {
    const double root = i > 0 && i == num_steps - 1 ? last : i * spacing;
    const auto step = static_cast<std::int64_t>(root * root);
    // A second visit would leave the state as it is.
    if (steps.empty() || step > steps.back()) steps.push_back(step);
  }
  return steps;
}

}  // namespace

std::vector<std::int64_t> DdimSteps(const SamplerOptions& options, const NoiseSchedule& schedule) {
  const std::int64_t n = schedule.num_timesteps();
  if (!schedule.is_discrete()) {
    throw ConfigError(
        "sampler ddim: expected a network of a discrete process (DDPM, improved-diffusion), found one whose time is "
        "the noise level; karras-euler is DDIM's method on such a network");
  }
  if (options.steps < 1 || options.steps > n) {
    throw ConfigError("sampler ddim: expected steps from 1 to the network's {}, found {}", n, options.steps);
  }
  if (options.skip == SkipType::kTimeQuadratic) return QuadraticSteps(n, options.steps);
  if (options.skip != SkipType::kTimeUniform) {
    throw ConfigError("sampler ddim: expected skip time_uniform or time_quadratic, found logsnr");
  }
  std::vector<std::int64_t> steps;
  for (std::int64_t step = 0; step < n; step += n / options.steps) steps.push_back(step);
  return steps;
}

// Song et al. 2021, eq. 12 and 16, divided by alpha: s and s_next are noise levels, x is x_t / alpha_t.
at::Tensor SampleDdim(const BatchDenoiser& denoise, const SamplerOptions& options, const NoiseSource& noise) {
  const NoiseSchedule& schedule = denoise.schedule();
  const std::vector<std::int64_t> steps = DdimSteps(options, schedule);
  double s = LevelOf(steps.back(), schedule);
  // x_t counts as standard normal where sampling begins, whichever step that is: 1 / alpha^2 = 1 + s^2.
  at::Tensor x = noise(0).to(at::kDouble) * std::sqrt(1 + s * s);
  std::uint32_t part = 0;
  for (std::size_t i = steps.size(); i-- > 0;) {
    const at::Tensor denoised = denoise(x, s);
    const double s_next = i > 0 ? LevelOf(steps[i - 1], schedule) : 0;
    const double added = options.eta * s_next / s * std::sqrt(s * s - s_next * s_next);
    const double kept = std::sqrt(s_next * s_next - added * added);
    x = denoised + (x - denoised) * (kept / s);
    ++part;
    if (added > 0) x = x + noise(part) * added;
    s = s_next;
  }
  return x;
}

}  // namespace lcsc
