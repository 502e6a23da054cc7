// A user's own feature extractor, exported as TorchScript.
#pragma once

#include "lcsc/model/network.h"
#include "script_module.h"

namespace lcsc {

// forward(images): uint8 [n, 3, h, w] -> features, floating point [n, d], or a tuple of those and logits [n, classes].
// An argument return_features, as NVIDIA's own files have it, is given as true. Gray images are repeated as three
// channels.
class ScriptExtractor : public FeatureExtractor {
 public:
  // Throws InputError when the archive cannot be loaded, or d cannot be found: neither an integer attribute feature_dim
  // nor an answer to a black image of the usual sizes.
  explicit ScriptExtractor(const std::filesystem::path& path);

  // Both throw InputError when the module fails on these images or returns anything else than the above.
  at::Tensor Features(const at::Tensor& images) override { return Extract(images).features; }
  Extraction Extract(const at::Tensor& images) override;
  std::int64_t feature_dim() const override { return feature_dim_; }
  std::string protocol() const override { return "torchscript"; }

 private:
  Extraction Call(const at::Tensor& images);
  std::int64_t FindFeatureDim();

  std::string source_;
  torch::jit::Module script_;
  torch::jit::Kwargs named_arguments_;
  std::int64_t feature_dim_ = 0;
};

}  // namespace lcsc
