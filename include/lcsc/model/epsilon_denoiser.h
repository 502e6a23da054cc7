// Networks that predict the noise of a discrete diffusion process, as denoisers in EDM's units.
#pragma once

#include <memory>
#include <string>

#include "lcsc/model/bare_network.h"

namespace lcsc {

// x_t = alpha_t x_0 + sigma_t e with eps(x_t, t) ~ e: with s = sigma_t / alpha_t,
//   D(x; s) = x - s eps(x / sqrt(1 + s^2); index(t(s)) * time_scale),   index(t) = t N - 1, whole at the N steps
// (Karras et al. 2022, App. C.3). t and the scalings are computed in float64.
class EpsilonDenoiser : public NetworkDenoiser {
 public:
  // time_scale: what the network receives for a step, per index: 1, or 1000 / N with improved-diffusion's
  // rescale_timesteps. Of a network with learned variances, which has twice the channels, the first half is eps.
  EpsilonDenoiser(std::shared_ptr<BareNetwork> network, const std::string& tensor_prefix, NoiseSchedule schedule,
                  double time_scale);

  Prediction Predict(const at::Tensor& x, const at::Tensor& sigma, const Conditioning& conditioning) override;

 private:
  double time_scale_;
};

}  // namespace lcsc
