// The FID Inception: the network of 2015-12-05 with 1008 classes, in the tensor names of the file
// pt_inception-2015-12-05-6726825d.pth that pytorch-fid publishes.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "lcsc/io/tensor_file.h"
#include "lcsc/model/network.h"

namespace lcsc {

class FoldedConv;

// What turns an image of any size into the network's input [3, 299, 299].
//   kTf1          TensorFlow 1's bilinear interpolation, source = i * (size / 299) without half-pixel centres;
//                 (v - 128) / 128. What NVIDIA's detector (EDM, ECT) and torch-fidelity compute.
//   kPytorchFid   bilinear with half-pixel centres (align_corners = false, no antialiasing); 2 v / 255 - 1.
enum class InceptionProtocol { kTf1, kPytorchFid };

// Where features are taken, each averaged over the image: after the first max-pool (64), after the second (192), before
// the auxiliary classifier (768: Mixed_6e), after Mixed_7c (2048, the FID's). The value is the number of features.
enum class InceptionTap : std::int64_t { kFirstPool = 64, kSecondPool = 192, kPreAux = 768, kFinal = 2048 };

struct InceptionOptions {
  InceptionProtocol protocol = InceptionProtocol::kTf1;
  InceptionTap tap = InceptionTap::kFinal;
};

// Differs from torchvision's Inception v3 as the published file demands: average pools leave the padding out, Mixed_7c
// pools by the maximum, batch norm has eps = 1e-3. For inference: batch norm is folded into the convolutions.
class Inception : public FeatureExtractor {
 public:
  // tensors: the whole state dict, `*.num_batches_tracked` with or without; float16, bfloat16 and float64 are
  // converted. Throws InputError that names `source` and the first tensor that is missing, superfluous, of another
  // shape, or that leaves a convolution with numbers that are not finite.
  Inception(NamedTensors tensors, const std::string& source, const InceptionOptions& options);
  ~Inception() override;

  // Whether these are tensors of such a file: Conv2d_1a_3x3.conv.weight is among them.
  static bool IsInception(const TensorFile& file);

  // images: uint8 [n, 3, h, w] of any size, or [n, 1, h, w], whose gray is repeated as red, green and blue. Throws
  // InputError for others. Features: float32 [n, tap]. Logits: float32 [n, 1008], features times fc.weight without
  // fc.bias; undefined unless the tap is the final one. An image's features do not depend on the batch it is in beyond
  // the arithmetic's rounding.
  at::Tensor Features(const at::Tensor& images) override;
  Extraction Extract(const at::Tensor& images) override;
  void PrepareGradients() override;
  std::int64_t feature_dim() const override { return static_cast<std::int64_t>(options_.tap); }
  std::string protocol() const override;

 private:
  at::Tensor Convolve(const std::string& name, const at::Tensor& x);
  at::Tensor Chain(const std::string& prefix, int length, at::Tensor x);
  at::Tensor AveragedConvolve(const std::string& name, const at::Tensor& x);
  at::Tensor MixedA(const std::string& name, const at::Tensor& x);
  at::Tensor MixedB(const std::string& name, const at::Tensor& x);
  at::Tensor MixedC(const std::string& name, const at::Tensor& x);
  at::Tensor MixedD(const std::string& name, const at::Tensor& x);
  at::Tensor MixedE(const std::string& name, const at::Tensor& x, bool max_pool);
  at::Tensor Activations(at::Tensor x);

  InceptionOptions options_;
  std::map<std::string, std::unique_ptr<FoldedConv>> convs_;
  at::Tensor class_weight_;
};

}  // namespace lcsc
