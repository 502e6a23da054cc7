// A network whose probability-flow ODE has a known solution, and noise to start it from.
#pragma once

#include <cmath>
#include <optional>
#include <vector>

#include "lcsc/sample/sampler.h"

namespace lcsc {

inline constexpr ImageShape kShape{1, 2, 2};
inline constexpr double kMean = 0.1, kDeviation = 0.2;

// The best denoiser of images whose pixels are N(kMean, kDeviation^2): D(x; s) = (d^2 x + s^2 m) / (d^2 + s^2).
inline at::Tensor ExactDenoised(const at::Tensor& x, double sigma) {
  const double variance = kDeviation * kDeviation;
  return (x.to(at::kDouble) * variance + sigma * sigma * kMean) / (variance + sigma * sigma);
}

class GaussianDenoiser : public Denoiser {
 public:
  GaussianDenoiser() = default;
  explicit GaussianDenoiser(NoiseSchedule schedule) : schedule_(std::move(schedule)) {}

  at::Tensor Denoise(const at::Tensor& x, const at::Tensor& sigma, const Conditioning&) override {
    levels.push_back(sigma.item<double>());
    states.push_back(x);
    return ExactDenoised(x, levels.back()).to(at::kFloat);
  }
  const NoiseSchedule& schedule() const override { return schedule_ ? *schedule_ : Denoiser::schedule(); }
  std::int64_t img_channels() const override { return kShape.channels; }
  std::int64_t img_resolution() const override { return kShape.height; }
  std::int64_t label_dim() const override { return 0; }

  std::vector<double> levels;
  std::vector<at::Tensor> states;

 private:
  std::optional<NoiseSchedule> schedule_;
};

// Where the ODE leads from `x` at noise level `from`: x(s) = m + (x(S) - m) sqrt((d^2 + s^2) / (d^2 + S^2)).
struct Levels {
  double from, to;
};
inline at::Tensor ExactSolution(const at::Tensor& x, Levels levels) {
  return kMean +
         (x.to(at::kDouble) - kMean) * (std::hypot(kDeviation, levels.to) / std::hypot(kDeviation, levels.from));
}

inline NoiseSource NoiseOf(std::int64_t num_samples) {
  return [num_samples](std::uint32_t part) { return SampleNoise(3, {0, num_samples}, kShape, part); };
}

inline double MaxDifference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

}  // namespace lcsc
