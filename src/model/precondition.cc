#include "lcsc/model/precondition.h"

#include <cmath>

namespace lcsc {
namespace {

// [n] -> [n, 1, 1, 1]
at::Tensor PerImage(const at::Tensor& values) { return values.view({-1, 1, 1, 1}); }

// The inverse of VpNoiseLevel.
at::Tensor VpTime(const PreconditionOptions& options, const at::Tensor& sigma) {
  const double beta_min = options.beta_min;
  const at::Tensor log_variance = (sigma.square() + 1).log();
  return ((log_variance * (2 * options.beta_d) + beta_min * beta_min).sqrt() - beta_min) / options.beta_d;
}

}  // namespace

double VpNoiseLevel(const PreconditionOptions& options, double t) {
  return std::sqrt(std::expm1(0.5 * options.beta_d * t * t + options.beta_min * t));
}

PreconditionedNetwork::PreconditionedNetwork(std::shared_ptr<BareNetwork> network, const std::string& tensor_prefix,
                                             const PreconditionOptions& options, const Range& range)
    : NetworkDenoiser(std::move(network), tensor_prefix, NoiseSchedule::Edm(range.sigma_min, range.sigma_max)),
      options_(options) {}

PreconditionedNetwork::Scalings PreconditionedNetwork::ScalingsAt(const at::Tensor& s) const {
  switch (options_.kind) {
    case PreconditionKind::kVp:
      return {at::ones_like(s), -s, (s.square() + 1).rsqrt(), VpTime(options_, s) * (options_.num_timesteps - 1)};
    case PreconditionKind::kVe:
      return {at::ones_like(s), s, at::ones_like(s), (s * 0.5).log()};
    case PreconditionKind::kEdm:
      break;
  }
  constexpr double kCmTimeScale = 1000 * 0.25;
  constexpr double kSmallest = 1e-44;
  const double sigma_data = options_.sigma_data, variance = sigma_data * sigma_data;
  const at::Tensor s_above = s - options_.sigma_boundary, c_in = (s.square() + variance).rsqrt();
  return {variance / (s_above.square() + variance), s_above * sigma_data * c_in, c_in,
          options_.noise_time == NoiseTime::kEdm ? s.log() / 4 : (s + kSmallest).log() * kCmTimeScale};
}

Prediction PreconditionedNetwork::Predict(const at::Tensor& x, const at::Tensor& sigma,
                                          const Conditioning& conditioning) {
  const Scalings c = ScalingsAt(sigma.to(at::kFloat).view(-1));
  const at::Tensor f = NetworkOutput(PerImage(c.in) * x, c.noise, conditioning);
  return {at::addcmul(PerImage(c.skip) * x, PerImage(c.out), f), f};
}

}  // namespace lcsc
