// Samplers: noise -> images. Names and grids as consistency_models and EDM define them.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "lcsc/model/network.h"
#include "lcsc/sample/noise.h"

namespace lcsc {

enum class SamplerKind {
  kConsistency,  // consistency_models' one-step and multistep sampling; denoised images clamped to [-1, 1]
  kKarrasHeun,   // consistency_models' Heun; denoised images clamped to [-1, 1]
  kEdmHeun,      // EDM's Heun (Karras et al. 2022, Alg. 2): state in float64, nothing clamped
};

// Fresh noise in Heun's steps (Karras et al. 2022, Alg. 2, by its symbols); none by default.
struct Churn {
  double s_churn = 0;
  double s_min = 0;  // noise levels outside [s_min, s_max] get none
  double s_max = std::numeric_limits<double>::infinity();
  double s_noise = 1;
};

struct SamplerOptions {
  SamplerKind kind = SamplerKind::kConsistency;
  double sigma_min = 0.002;
  double sigma_max = 80.0;
  double rho = 7.0;
  // kConsistency: the noise levels of the steps after the first, descending; empty is one step. NFE = 1 + size.
  std::vector<double> consistency_sigmas = {};
  // Both forms of Heun: number of steps N, at least 2; NFE = 2N - 1.
  int steps = 18;
  Churn churn = {};
};

// Karras et al. 2022, eq. 5: steps noise levels from sigma_max to sigma_min, then 0. Length steps + 1, float64.
// Throws ConfigError when steps < 2.
std::vector<double> KarrasSigmas(int steps, double sigma_min, double sigma_max, double rho);

// Noise levels of the multistep consistency sampler for indices `ts` into the Karras grid of `grid_steps` points, as
// consistency_models writes them: ts = {0, 17, 39}, grid_steps = 40. The first index is sigma_max, the last the end.
// Throws ConfigError when ts does not ascend from 0 to grid_steps - 1.
std::vector<double> ConsistencySigmasFromGrid(const std::vector<int>& ts, int grid_steps,
                                              const SamplerOptions& options);

int NumFunctionEvaluations(const SamplerOptions& options);

// The fresh noise that a sampler asks for: part i, [n, c, h, w]. Part 0 is the initial noise (standard normal).
using NoiseSource = std::function<at::Tensor(std::uint32_t part)>;

// Draws images, float32 [n, c, h, w], in [-1, 1] unless the sampler is EDM's (whose images Quantise clips).
// Differentiable in the network's weights.
at::Tensor Sample(Denoiser& network, const SamplerOptions& options, const NoiseSource& noise,
                  const Conditioning& conditioning);

enum class Quantisation {
  kOpenAi,  // clip((x + 1) * 127.5, 0, 255) truncated: consistency_models, LCSC
  kEdm,     // clip(x * 127.5 + 128, 0, 255) truncated: EDM, ECT
};
// float [n, c, h, w] in [-1, 1] -> uint8. REQUIRES: finite values.
at::Tensor Quantise(const at::Tensor& images, Quantisation rule);

}  // namespace lcsc
