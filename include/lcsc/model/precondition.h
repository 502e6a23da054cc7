// Preconditioning: a raw network F -> a denoiser or consistency function D (Karras et al. 2022, eq. 7 and Table 1).
#pragma once

#include <memory>

#include "lcsc/model/network.h"
#include "lcsc/model/song_unet.h"

namespace lcsc {

struct PreconditionOptions {
  double sigma_data = 0.5;
  // The noise level at which D(x) = x. 0 is EDM's form (EDMPrecond); consistency_models' (ConsistencyPrecond) has the
  // smallest noise level here: Song et al. 2023, eq. 25 with the scalings of App. C.
  double sigma_boundary = 0;
};

// D(x; s) = c_skip x + c_out F(c_in x; ln(s) / 4), with s' = s - sigma_boundary and
//   c_skip = sigma_data^2 / (s'^2 + sigma_data^2), c_out = s' sigma_data / sqrt(s^2 + sigma_data^2),
//   c_in = 1 / sqrt(s^2 + sigma_data^2).
// The network's tensors are named "model.*".
class PreconditionedUNet : public Denoiser {
 public:
  PreconditionedUNet(const PreconditionOptions& options, const SongUNetOptions& network);

  at::Tensor Denoise(const at::Tensor& x, const at::Tensor& sigma, const Conditioning& conditioning) override;
  std::int64_t img_channels() const override { return network_.in_channels; }
  std::int64_t img_resolution() const override { return network_.img_resolution; }
  std::int64_t label_dim() const override { return network_.label_dim; }

 private:
  PreconditionOptions options_;
  SongUNetOptions network_;
  std::shared_ptr<SongUNet> model_;
};

}  // namespace lcsc
