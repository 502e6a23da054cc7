// Preconditioning: a bare network F -> a denoiser or consistency function D (Karras et al. 2022, eq. 7 and Table 1).
#pragma once

#include <memory>
#include <string>

#include "lcsc/model/bare_network.h"

namespace lcsc {

enum class PreconditionKind { kVp, kVe, kEdm };

// What the network is told about the noise level.
enum class NoiseTime {
  kEdm,  // ln(sigma) / 4
  kCm,   // 1000 * 0.25 * ln(sigma + 1e-44): consistency_models
};

// EDM's constructor arguments, by their names.
struct PreconditionOptions {
  PreconditionKind kind = PreconditionKind::kEdm;
  double sigma_data = 0.5;  // kEdm
  // kEdm: the noise level at which D(x) = x. 0 is EDM's form (EDMPrecond) and that of a consistency model's teacher; a
  // consistency function has the smallest noise level here: Song et al. 2023, eq. 25 with the scalings of App. C.
  double sigma_boundary = 0;
  NoiseTime noise_time = NoiseTime::kEdm;  // kEdm
  double beta_d = 19.9;                    // kVp: extent of the noise level schedule
  double beta_min = 0.1;                   // kVp: its initial slope
  double num_timesteps = 1000;             // kVp: M
};

// D(x; s) = c_skip x + c_out F(c_in x; c_noise), with s' = s - sigma_boundary and
//   kEdm: c_skip = sigma_data^2 / (s'^2 + sigma_data^2), c_out = s' sigma_data / sqrt(s^2 + sigma_data^2),
//         c_in = 1 / sqrt(s^2 + sigma_data^2), c_noise as NoiseTime says;
//   kVp:  c_skip = 1, c_out = -s, c_in = 1 / sqrt(s^2 + 1), c_noise = (M - 1) VpTime(s);
//   kVe:  c_skip = 1, c_out = s, c_in = 1, c_noise = ln(s / 2).
class PreconditionedNetwork : public NetworkDenoiser {
 public:
  // Noise levels that the network was trained on, in EDM's units.
  struct Range {
    double sigma_min = 0.002, sigma_max = 80;
  };
  PreconditionedNetwork(std::shared_ptr<BareNetwork> network, const std::string& tensor_prefix,
                        const PreconditionOptions& options, const Range& range);

  Prediction Predict(const at::Tensor& x, const at::Tensor& sigma, const Conditioning& conditioning) override;

 private:
  struct Scalings {
    at::Tensor skip, out, in, noise;  // each float32 [n] or [1]
  };
  Scalings ScalingsAt(const at::Tensor& sigma) const;

  PreconditionOptions options_;
};

// The noise level of the VP process at time t in [0, 1]: sqrt(exp(beta_d t^2 / 2 + beta_min t) - 1).
double VpNoiseLevel(const PreconditionOptions& options, double t);

}  // namespace lcsc
