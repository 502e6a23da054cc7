#include "lcsc/model/precondition.h"

namespace lcsc {

PreconditionedUNet::PreconditionedUNet(const PreconditionOptions& options, const SongUNetOptions& network)
    : options_(options), network_(network), model_(register_module("model", std::make_shared<SongUNet>(network))) {}

at::Tensor PreconditionedUNet::Denoise(const at::Tensor& x, const at::Tensor& sigma, const Conditioning& conditioning) {
  const at::Tensor& labels = conditioning.labels;
  const double sigma_data = options_.sigma_data, variance = sigma_data * sigma_data;
  const at::Tensor s = sigma.view({-1, 1, 1, 1});
  const at::Tensor s_above = s - options_.sigma_boundary;
  const at::Tensor c_skip = variance / (s_above.square() + variance);
  const at::Tensor c_in = (s.square() + variance).rsqrt();
  const at::Tensor c_out = s_above * sigma_data * c_in;
  const at::Tensor classes =
      network_.label_dim > 0 && !labels.defined() ? at::zeros({1, network_.label_dim}, x.options()) : labels;
  const at::Tensor f = model_->Forward(c_in * x, sigma.log() / 4, classes);
  return at::addcmul(c_skip * x, c_out, f);
}

}  // namespace lcsc
