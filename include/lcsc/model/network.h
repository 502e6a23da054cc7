// What the samplers and the extractor's users see of a network.
#pragma once

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "lcsc/model/noise_schedule.h"

namespace lcsc {

// What the samples of a batch are conditioned on.
struct Conditioning {
  Conditioning() = default;
  Conditioning(at::Tensor one_hot_labels) : labels(std::move(one_hot_labels)) {}

  // One-hot float32 [n, label_dim]; undefined when label_dim() is 0 (or for all-zero labels).
  at::Tensor labels;
  // Per-sample tensors [n, ...] by the name of the network's argument: text embeddings and the like.
  std::map<std::string, at::Tensor> tensors;
};

struct Prediction {
  at::Tensor denoised;        // D(x; sigma), float32 [n, c, h, w]
  at::Tensor network_output;  // what the bare network returned, float32 [n, c', h, w]; undefined when there is none
};

// D(x; sigma): a preconditioned denoiser or a consistency function, in EDM's units: x = x_0 + sigma e (Karras et al.
// 2022, eq. 2), whatever process the network was trained on. Tensor names are those of the public code base whose
// checkpoints it loads; integer tensors and running statistics are buffers, the rest parameters.
class Denoiser : public torch::nn::Module {
 public:
  ~Denoiser() override = default;
  // x: float32 [n, c, h, w]; sigma: float32 or float64 [n] or [1]. Returns float32 [n, c, h, w]. Differentiable.
  virtual at::Tensor Denoise(const at::Tensor& x, const at::Tensor& sigma, const Conditioning& conditioning) = 0;
  // The same with the bare network's output beside it.
  virtual Prediction Predict(const at::Tensor& x, const at::Tensor& sigma, const Conditioning& conditioning) {
    return {Denoise(x, sigma, conditioning), {}};
  }
  // The process that the network was trained on: what time means to it, and which noise levels it knows.
  virtual const NoiseSchedule& schedule() const;
  virtual std::int64_t img_channels() const = 0;
  virtual std::int64_t img_resolution() const = 0;
  virtual std::int64_t label_dim() const = 0;
};

struct Extraction {
  at::Tensor features;  // float32 [n, feature_dim()]
  // float32 [n, classes], for the inception score: without the last layer's bias where the field's definition says so.
  // Undefined when the extractor is no classifier.
  at::Tensor logits;
};

// images -> features.
class FeatureExtractor : public torch::nn::Module {
 public:
  ~FeatureExtractor() override = default;
  // images: uint8 [n, c, h, w], or floating-point values in [0, 255], with respect to which the features can then be
  // differentiated after PrepareGradients. Returns float32 [n, feature_dim()].
  virtual at::Tensor Features(const at::Tensor& images) = 0;
  // Features and logits in one pass.
  virtual Extraction Extract(const at::Tensor& images) { return {Features(images), {}}; }
  // Keeps what Features needs to be differentiated, which costs memory. REQUIRES: nothing was extracted yet.
  virtual void PrepareGradients() {}
  virtual std::int64_t feature_dim() const = 0;
  // What turns images into the network's input, as results name it: "tf1", "pytorch-fid", "digits", "torchscript".
  virtual std::string protocol() const = 0;
};

}  // namespace lcsc
