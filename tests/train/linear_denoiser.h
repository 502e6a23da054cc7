// A denoiser whose every value and gradient is known: D(x; sigma) = scale * x.
#pragma once

#include <vector>

#include "lcsc/model/network.h"

namespace lcsc {

class LinearDenoiser : public Denoiser {
 public:
  explicit LinearDenoiser(double scale) : scale_(register_parameter("scale", at::full({1}, scale))) {}

  at::Tensor Denoise(const at::Tensor& x, const at::Tensor& sigma, const Conditioning& conditioning) override {
    const at::Tensor& labels = conditioning.labels;
    sigmas.push_back(sigma);
    given_labels.push_back(labels);
    random_numbers.push_back(at::rand({8}));
    return scale_ * x;
  }
  std::int64_t img_channels() const override { return 1; }
  std::int64_t img_resolution() const override { return 2; }
  std::int64_t label_dim() const override { return num_labels; }

  const at::Tensor& scale() const { return scale_; }

  // What each evaluation was given, and what torch's generator gave to it.
  std::vector<at::Tensor> sigmas, given_labels, random_numbers;
  std::int64_t num_labels = 0;

 private:
  at::Tensor& scale_;
};

}  // namespace lcsc
