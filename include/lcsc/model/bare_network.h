// The networks themselves, before preconditioning, and what all denoisers around them share.
#pragma once

#include <memory>
#include <string>

#include "lcsc/model/network.h"
#include "lcsc/model/precision.h"

namespace lcsc {

struct NetworkShape {
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;  // twice in_channels where the variance is learned too
  std::int64_t resolution = 0;
  std::int64_t label_dim = 0;
  // Labels are looked up in a table, so that every sample needs one; otherwise no labels are all-zero labels.
  bool needs_labels = false;
};

// F(x; time): a UNet as its code base's own forward() sees it.
class BareNetwork : public torch::nn::Module {
 public:
  explicit BareNetwork(const NetworkShape& shape) : shape_(shape) {}
  ~BareNetwork() override = default;
  // x: [n, in_channels, res, res] in the type that activations shall have; time: float32 [n] or [1], in the unit that
  // the network was trained with; labels: one-hot float32 [n, label_dim] or undefined. Returns [n, out_channels, res,
  // res] in x's type. Throws InputError when labels are missing that it needs.
  virtual at::Tensor Forward(const at::Tensor& x, const at::Tensor& time, const at::Tensor& labels) const = 0;
  const NetworkShape& shape() const { return shape_; }

 private:
  NetworkShape shape_;
};

// A denoiser around a bare network.
class NetworkDenoiser : public Denoiser {
 public:
  at::Tensor Denoise(const at::Tensor& x, const at::Tensor& sigma, const Conditioning& conditioning) override {
    return Predict(x, sigma, conditioning).denoised;
  }
  Prediction Predict(const at::Tensor& x, const at::Tensor& sigma, const Conditioning& conditioning) override = 0;
  const NoiseSchedule& schedule() const override { return schedule_; }
  std::int64_t img_channels() const override { return shape().in_channels; }
  std::int64_t img_resolution() const override { return shape().resolution; }
  std::int64_t label_dim() const override { return shape().label_dim; }
  void train(bool on = true) override;

  const NetworkShape& shape() const { return network_->shape(); }
  // F(x; time): float32 x, network time float32 [n] or [1] -> float32 [n, out_channels, res, res]; the activations in
  // between have the precision's type. Parameters and embeddings stay float32.
  at::Tensor NetworkOutput(const at::Tensor& x, const at::Tensor& time, const Conditioning& conditioning) const;
  void set_precision(Precision precision) { precision_ = precision; }

 protected:
  // tensor_prefix: what the public code base puts before the network's own tensor names: "model.", "" or another path.
  NetworkDenoiser(std::shared_ptr<BareNetwork> network, const std::string& tensor_prefix, NoiseSchedule schedule);

 private:
  std::shared_ptr<BareNetwork> network_;
  NoiseSchedule schedule_;
  Precision precision_ = Precision::kFloat32;
};

// Throws ConfigError when the denoiser is of a kind whose type is fixed and the precision is not float32.
void SetPrecision(Denoiser& denoiser, Precision precision);

}  // namespace lcsc
