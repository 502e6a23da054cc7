// What the two generative stages minimise.
//   EDM: Karras et al. 2022, "Elucidating the design space of diffusion-based generative models".
//   ECT: Geng et al. 2024, "Consistency models made easy".
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

#include "lcsc/model/network.h"
#include "lcsc/train/training_set.h"

namespace lcsc {

// Noise levels: ln(sigma) is normal with mean p_mean and standard deviation p_std.
struct NoiseLevels {
  double p_mean = 0;
  double p_std = 1;
};
// normals: float32 [n]; returns float32 [n], exp(p_mean + p_std * normals).
at::Tensor SigmasOf(const NoiseLevels& levels, const at::Tensor& normals);

struct DiffusionObjective {
  NoiseLevels levels{-1.2, 1.2};
  double sigma_data = 0.5;
};
// lambda(sigma) = (sigma^2 + sigma_data^2) / (sigma sigma_data)^2 (EDM, Table 1). sigma: float32 [n]; returns the same.
at::Tensor DiffusionWeight(const DiffusionObjective& objective, const at::Tensor& sigma);
// Mean over images and pixels of lambda(sigma) (D(y + sigma n; sigma) - y)^2 (EDM, eq. 2 and 8). A scalar.
at::Tensor DiffusionLoss(Denoiser& network, const DiffusionObjective& objective, const TrainingBatch& batch);

struct ConsistencyObjective {
  NoiseLevels levels{-1.1, 2.0};
  double q = 2;        // the gap t - r shrinks by q ...
  std::int64_t d = 1;  // ... every d iterations
  double k = 8;        // of n(t)
  double b = 1;        // of n(t)
  double c = 0.05;     // of the adaptive weight; above 0, where the root has a gradient
};
// r of ECT's mapping p(r | t, iteration), eq. 15:
//   r / t = 1 - n(t) / q^ceil(iteration / d),  n(t) = 1 + k sigmoid(-b t),  clamped to r >= 0.
// ceil for floor (App. A): the tuning starts from a diffusion model, so that the stage with r = 0 is skipped.
// t: float32 [n]; returns the same.
at::Tensor EarlierLevel(const ConsistencyObjective& objective, std::int64_t iteration, const at::Tensor& t);
// ECT, Alg. 1 with eq. 16: x_t = x_0 + t e and x_r = x_0 + r e share the noise e and the dropout mask;
//   D = f(x_t, t) - stopgrad f(x_r, r), where f(x_r, r) is x_0 for r = 0;
//   w(t) (sqrt(|D|^2 + c^2) - c) averaged over images, w(t) = 1 / (t - r).
// The gradient of the root is that of |D|^2 / 2 under the adaptive weight 1 / sqrt(|D|^2 + c^2) (eq. 20). A scalar.
at::Tensor ConsistencyLoss(Denoiser& network, const ConsistencyObjective& objective, std::int64_t iteration,
                           const TrainingBatch& batch);

}  // namespace lcsc
