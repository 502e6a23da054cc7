#include "lcsc/train/objectives.h"

#include <cmath>

namespace lcsc {
namespace {

// [n] -> [n, 1, 1, 1]
at::Tensor PerImage(const at::Tensor& values) { return values.view({-1, 1, 1, 1}); }

at::Tensor OneHotLabels(const Denoiser& network, const at::Tensor& classes) {
  const std::int64_t label_dim = network.label_dim();
  return label_dim > 0 ? at::one_hot(classes, label_dim).to(at::kFloat) : at::Tensor();
}

// D(x_0 + sigma e; sigma) with the batch's dropout mask, whatever was drawn before.
at::Tensor DenoiseAt(Denoiser& network, const at::Tensor& sigma, const TrainingBatch& batch) {
  at::manual_seed(batch.dropout_seed);
  return network.Denoise(batch.images + PerImage(sigma) * batch.noise, sigma, OneHotLabels(network, batch.classes));
}

// f(x_r, r) without a gradient. Networks take the logarithm of the noise level, hence the floor under r, and the
// boundary condition f(x_0, 0) = x_0 in its place.
at::Tensor Target(Denoiser& network, const at::Tensor& r, const TrainingBatch& batch) {
  constexpr double kSmallestLevel = 1e-4;
  const at::NoGradGuard stop_gradient;
  const at::Tensor denoised = DenoiseAt(network, r.clamp_min(kSmallestLevel), batch);
  return at::where(PerImage(r) > 0, denoised, batch.images);
}

}  // namespace

at::Tensor SigmasOf(const NoiseLevels& levels, const at::Tensor& normals) {
  return (normals * levels.p_std + levels.p_mean).exp();
}

at::Tensor DiffusionWeight(const DiffusionObjective& objective, const at::Tensor& sigma) {
  const double sigma_data = objective.sigma_data;
  return (sigma.square() + sigma_data * sigma_data) / (sigma * sigma_data).square();
}

at::Tensor DiffusionLoss(Denoiser& network, const DiffusionObjective& objective, const TrainingBatch& batch) {
  const at::Tensor sigma = SigmasOf(objective.levels, batch.level_normals);
  const at::Tensor error = DenoiseAt(network, sigma, batch) - batch.images;
  return (PerImage(DiffusionWeight(objective, sigma)) * error.square()).mean();
}

at::Tensor EarlierLevel(const ConsistencyObjective& objective, std::int64_t iteration, const at::Tensor& t) {
  const double stage = std::ceil(static_cast<double>(iteration) / static_cast<double>(objective.d));
  const at::Tensor n = 1 + objective.k * at::sigmoid(-objective.b * t);
  return t * (1 - n / std::pow(objective.q, stage)).clamp_min(0);
}

at::Tensor ConsistencyLoss(Denoiser& network, const ConsistencyObjective& objective, std::int64_t iteration,
                           const TrainingBatch& batch) {
  const at::Tensor t = SigmasOf(objective.levels, batch.level_normals);
  const at::Tensor r = EarlierLevel(objective, iteration, t);
  const at::Tensor target = Target(network, r, batch);
  const at::Tensor difference = (DenoiseAt(network, t, batch) - target).flatten(1);
  const at::Tensor distance = (difference.square().sum(1) + objective.c * objective.c).sqrt() - objective.c;
  return (distance / (t - r)).mean();
}

}  // namespace lcsc
