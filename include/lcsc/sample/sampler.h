// Samplers: noise -> images. Names, grids and defaults as consistency_models, EDM, ddim and DPM-Solver define them;
// docs/samplers.md lists them with their equations.
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
  kConsistency,      // consistency_models' one-step and multistep sampling; denoised images clamped to [-1, 1]
  kKarrasEuler,      // consistency_models' Euler: deterministic; denoised images clamped to [-1, 1]
  kKarrasHeun,       // consistency_models' Heun, with churn; denoised images clamped to [-1, 1]
  kKarrasAncestral,  // consistency_models' ancestral Euler: fresh noise in each step; clamped to [-1, 1]
  kEdmHeun,          // EDM's Heun (Karras et al. 2022, Alg. 2): state in float64, nothing clamped
  kDdim,             // DDIM (Song et al. 2021, eq. 12): state in float64, nothing clamped
  kDpmSolver,        // DPM-Solver and DPM-Solver++ (Lu et al. 2022a, 2022b): state in float64, nothing clamped
};

// Fresh noise in Heun's steps (Karras et al. 2022, Alg. 2, by its symbols); none by default.
struct Churn {
  double s_churn = 0;
  double s_min = 0;  // noise levels outside [s_min, s_max] get none
  double s_max = std::numeric_limits<double>::infinity();
  double s_noise = 1;
};

// How times are spaced between the first and the last.
enum class SkipType {
  kTimeUniform,    // equal steps of t (DDIM: every (N / steps)-th of the N discrete steps)
  kLogSnr,         // equal steps of lambda = log(alpha / sigma); not for DDIM
  kTimeQuadratic,  // equal steps of sqrt(t) (DDIM: the squares of `steps` numbers from 0 to sqrt(0.8 N), truncated)
};

struct DpmSolverOptions {
  // What the network's prediction counts as: the noise is DPM-Solver, the data is DPM-Solver++.
  enum class Prediction { kNoise, kData };
  // Singlestep: a step of order k takes k calls of its own. Multistep: each step takes one, and looks back.
  enum class Method { kSinglestep, kMultistep };

  Prediction prediction = Prediction::kNoise;
  Method method = Method::kSinglestep;
  int order = 3;  // 1, 2 or 3; of DPM-Solver-1 there is one form: DDIM with eta = 0
  // Multistep only: the last steps of fewer than 10 are of lower order. (Singlestep's last steps always are.)
  bool lower_order_final = true;
  // One more call at the last time, whose denoised image is the result.
  bool denoise_to_zero = false;
};

struct SamplerOptions {
  SamplerKind kind = SamplerKind::kConsistency;
  // The range of noise levels; those of discrete processes are their own for kDdim and kDpmSolver.
  double sigma_min = 0.002;
  double sigma_max = 80.0;
  double rho = 7.0;
  // kConsistency: the noise levels of the steps after the first, descending; empty is one step. NFE = 1 + size.
  std::vector<double> consistency_sigmas = {};
  // Steps on the Karras grid, N >= 2: NFE = N (Euler, ancestral), 2N - 1 (both forms of Heun). kDdim: the S of its
  // sub-sequence (NFE is S, or a few more where S does not divide N). kDpmSolver: NFE, but for denoise_to_zero.
  int steps = 18;
  Churn churn = {};                        // both forms of Heun
  SkipType skip = SkipType::kTimeUniform;  // kDdim, kDpmSolver
  double eta = 0;                          // kDdim, in [0, 1]: 0 is deterministic, 1 is ancestral sampling (DDPM)
  DpmSolverOptions dpm_solver = {};
};

// Karras et al. 2022, eq. 5: steps noise levels from sigma_max to sigma_min, then 0. Length steps + 1, float64.
// Throws ConfigError when steps < 2.
std::vector<double> KarrasSigmas(int steps, double sigma_min, double sigma_max, double rho);

// Noise levels of the multistep consistency sampler for indices `ts` into the Karras grid of `grid_steps` points, as
// consistency_models writes them: ts = {0, 17, 39}, grid_steps = 40. The first index is sigma_max, the last the end.
// Throws ConfigError when ts does not ascend from 0 to grid_steps - 1.
std::vector<double> ConsistencySigmasFromGrid(const std::vector<int>& ts, int grid_steps,
                                              const SamplerOptions& options);

// How often Sample calls the network whose process `schedule` is. Throws ConfigError when the sampler cannot draw from
// such a network, or its numbers do not fit together; Sample throws in no other case.
int NumFunctionEvaluations(const SamplerOptions& options, const NoiseSchedule& schedule);

// The fresh noise that a sampler asks for: part i, [n, c, h, w]. Part 0 is the initial noise (standard normal).
using NoiseSource = std::function<at::Tensor(std::uint32_t part)>;

// Draws images, float32 [n, c, h, w] (float64 from a network of float64 weights), in [-1, 1] where the sampler clamps
// (Quantise clips the others). Step i of a stochastic sampler takes part i of the noise, counted from 1. Differentiable
// in the network's weights (those of StateDict that require gradients): with several calls of the network
// autograd keeps their questions and answers but not their activations, and the backward pass makes each call again.
at::Tensor Sample(Denoiser& network, const SamplerOptions& options, const NoiseSource& noise,
                  const Conditioning& conditioning);

enum class Quantisation {
  kOpenAi,  // clip((x + 1) * 127.5, 0, 255) truncated: consistency_models, LCSC
  kEdm,     // clip(x * 127.5 + 128, 0, 255) truncated: EDM, ECT
  kNone,    // clip((x + 1) * 127.5, 0, 255): what derivatives are compared with
};
// float [n, c, h, w] in [-1, 1] -> uint8, or with kNone pixel values in the images' type. REQUIRES: finite values.
at::Tensor Quantise(const at::Tensor& images, Quantisation rule);
// The same values in the images' type, with the derivatives of the unquantised ones (straight-through).
at::Tensor QuantiseStraightThrough(const at::Tensor& images, Quantisation rule);

}  // namespace lcsc
