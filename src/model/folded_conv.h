// A convolution with batch norm folded into it, for inference alone.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/ivalue.h>

#include <array>
#include <cstdint>
#include <string>

namespace lcsc {

struct ConvShape {
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  std::array<std::int64_t, 2> kernel = {1, 1};  // height, width
  std::int64_t stride = 1;
  std::array<std::int64_t, 2> padding = {0, 0};
};

// What one unit of a state dict holds; float32.
struct NormalisedConvWeights {
  at::Tensor weight;                                       // [out, in, kernel height, kernel width], no bias
  at::Tensor gamma, beta, running_mean, running_variance;  // [out]
  double eps = 1e-5;
};

enum class Finish { kBiasAndRelu, kNothing };

class FoldedConv {
 public:
  // y = gamma (conv(x) - mean) / sqrt(variance + eps) + beta as one convolution and a bias.
  FoldedConv(const NormalisedConvWeights& weights, const ConvShape& shape, Finish finish);

  // x: float32 [n, in, h, w], channels_last. With Finish::kBiasAndRelu: relu(conv(x) + bias), otherwise conv(x).
  // Differentiable in x after PrepareGradients.
  at::Tensor Run(const at::Tensor& x);
  void PrepareGradients() { keeps_weight_ = true; }
  const at::Tensor& bias() const { return bias_; }  // [1, out, 1, 1]
  bool IsFinite() const;

 private:
  void Prepack(const at::Tensor& x);

  ConvShape shape_;
  Finish finish_;
  at::Tensor weight_, bias_;
  bool keeps_weight_ = false;  // beside oneDNN's form
  // oneDNN's form of the weights; None until the first run, and where LibTorch has no oneDNN.
  c10::IValue prepacked_;
};

}  // namespace lcsc
