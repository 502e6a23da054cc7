#include "lcsc/model/epsilon_denoiser.h"

#include "lcsc/base/error.h"

namespace lcsc {

EpsilonDenoiser::EpsilonDenoiser(std::shared_ptr<BareNetwork> network, const std::string& tensor_prefix,
                                 NoiseSchedule schedule, double time_scale)
    : NetworkDenoiser(std::move(network), tensor_prefix, std::move(schedule)), time_scale_(time_scale) {
  LCSC_CHECK(this->schedule().is_discrete());
}

Prediction EpsilonDenoiser::Predict(const at::Tensor& x, const at::Tensor& sigma, const Conditioning& conditioning) {
  const at::Tensor levels = sigma.to(at::TensorOptions(at::kCPU).dtype(at::kDouble)).reshape(-1);
  at::Tensor times = at::empty_like(levels);
  const auto num_timesteps = static_cast<double>(schedule().num_timesteps());
  for (std::int64_t i = 0; i < levels.size(0); ++i) {
    const double t = schedule().TimeOfNoiseLevel(levels.data_ptr<double>()[i]);
    times.data_ptr<double>()[i] = (t * num_timesteps - 1) * time_scale_;
  }
  const at::Tensor c_in = (levels.square() + 1).rsqrt().view({-1, 1, 1, 1}).to(x.options());
  const at::Tensor output = NetworkOutput(x * c_in, times.to(x.options()), conditioning);
  const at::Tensor eps = output.narrow(1, 0, x.size(1));
  return {at::addcmul(x, levels.view({-1, 1, 1, 1}).to(x.options()), eps, -1), output};
}

}  // namespace lcsc
