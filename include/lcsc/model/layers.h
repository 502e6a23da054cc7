// The layers that all UNets are made of (Karras et al. 2022, App. B; Song et al. 2021, App. H; Ho et al. 2020, App. B).
// Each computes in its input's type: the parameters are float32 and are converted where they are used.
#pragma once

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include "lcsc/model/precision.h"

namespace lcsc {

// Registers `layer` in `owner` under a dotted name ("in_layers.0"), with modules in between as the dots say.
void RegisterPath(torch::nn::Module& owner, const std::string& path, std::shared_ptr<torch::nn::Module> layer);

// How fresh weights are drawn: a spread of scale * the mode's, biases of bias_scale * the mode's.
enum class InitMode {
  kXavierUniform,   // uniform in +-sqrt(6 / (fan_in + fan_out))
  kKaimingUniform,  // uniform in +-sqrt(3 / fan_in)
  kKaimingNormal,   // normal of standard deviation sqrt(1 / fan_in)
};
struct WeightInit {
  InitMode mode = InitMode::kXavierUniform;
  double scale = 1;
  double bias_scale = 0;
};
// PyTorch's own: uniform in +-sqrt(1 / fan_in), biases too.
constexpr WeightInit kTorchInit = {InitMode::kKaimingUniform, std::numbers::inv_sqrt3, std::numbers::inv_sqrt3};
constexpr WeightInit kZeroInit = {InitMode::kKaimingUniform, 0, 0};

struct LinearOptions {
  std::int64_t in_features = 0;
  std::int64_t out_features = 0;
  bool bias = true;
  WeightInit init;
};

// y = x W^T + b; weight [out, in], bias [out].
class Linear : public torch::nn::Module {
 public:
  explicit Linear(const LinearOptions& options);
  // x: [n, in_features]; returns [n, out_features].
  at::Tensor Forward(const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;
};

struct LabelTableOptions {
  std::int64_t num_classes = 0;
  std::int64_t channels = 0;
};

// One row for each class; weight [num_classes, channels].
class LabelTable : public torch::nn::Module {
 public:
  explicit LabelTable(const LabelTableOptions& options);
  // labels: one-hot [n, num_classes]; returns [n, channels]. Throws InputError when labels are undefined.
  at::Tensor Forward(const at::Tensor& labels) const;

 private:
  at::Tensor weight_;
};

enum class Resample { kNone, kUp, kDown };

struct Conv2dOptions {
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  std::int64_t kernel = 3;  // odd; 0 resamples only and has no weights
  Resample resample = Resample::kNone;
  // Of even length; normalised to sum 1. Without one, pixels are repeated or averaged and there is no buffer.
  std::vector<double> resample_filter = {1, 1};
  bool fused_resample = false;   // one padding for convolution and filter together
  std::int64_t stride = 1;       // 2 halves the resolution by the convolution itself
  bool pad_end_only = false;     // with stride 2: zeros behind the last row and column, none before the first
  bool one_dimensional = false;  // kernel 1: weight [out, in, 1], as of a convolution over flattened pixels
  WeightInit init;
};

// A convolution that keeps the resolution, doubles it or halves it; weight [out, in, k, k], bias [out], and a buffer
// resample_filter [1, 1, f, f] when it resamples by a filter.
class Conv2d : public torch::nn::Module {
 public:
  explicit Conv2d(const Conv2dOptions& options);
  // x: [n, in_channels, h, w]; returns [n, out_channels, h', w'] in x's memory format, in memory of its own.
  // gain multiplies the result: at no cost, since it multiplies the weights. REQUIRES: kernel > 0 or gain == 1.
  at::Tensor Forward(const at::Tensor& x, double gain = 1) const;

 private:
  at::Tensor Convolved(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) const;
  at::Tensor Resampled(const at::Tensor& x, std::int64_t padding) const;

  Conv2dOptions options_;
  at::Tensor weight_, bias_, resample_filter_;
};

struct GroupNormOptions {
  std::int64_t channels = 0;
  double eps = 1e-5;
  std::int64_t groups = 0;  // 0: min(32, channels / 4)
};

// What a UNet does just before and behind a normalisation, each only if it is set.
struct AroundNorm {
  at::Tensor shift = {};              // [n or 1, channels], added first
  at::Tensor gain = {}, offset = {};  // likewise, both or none: the normalised z becomes (1 + gain) z + offset
  bool silu = false;                  // in the end
};

// Group normalisation; weight and bias [channels].
// Throws ConfigError when the channels do not divide into the groups.
class GroupNorm : public torch::nn::Module {
 public:
  explicit GroupNorm(const GroupNormOptions& options);
  // x: [n, channels, h, w]; returns the same shape, in memory of its own.
  at::Tensor Forward(const at::Tensor& x, const AroundNorm& around = {}) const;

 private:
  std::int64_t groups_;
  double eps_;
  at::Tensor weight_, bias_;
};

// sin and cos of time times `channels` / 2 frequencies w_i. The networks write w_i each in its own way, which float32
// tells apart when time is in the thousands.
enum class EmbeddingType {
  kPositional,  // SongUNet: w_i = 10000^(-i / (channels / 2 - 1)); sines, then cosines
  kFourier,     // SongUNet: 2 pi times a buffer freqs [channels / 2] drawn from N(0, 16^2); sines, then cosines
  kDhariwal,    // DhariwalUNet: w_i = 10000^(-i / (channels / 2)); cosines, then sines
  kAdm,         // consistency_models, improved-diffusion: exp(-ln(10000) i / (channels / 2)); cosines, then sines
  kDdpm,        // ddim: exp(-i ln(10000) / (channels / 2 - 1)); sines, then cosines
};

struct NoiseEmbeddingOptions {
  EmbeddingType type = EmbeddingType::kPositional;
  std::int64_t channels = 0;  // even, >= 4
};

class NoiseEmbedding : public torch::nn::Module {
 public:
  explicit NoiseEmbedding(const NoiseEmbeddingOptions& options);
  // time: float32 [n]; returns float32 [n, channels].
  at::Tensor Forward(const at::Tensor& time) const;

 private:
  at::Tensor Frequencies(const at::TensorOptions& type) const;

  NoiseEmbeddingOptions options_;
  at::Tensor freqs_;
};

// silu(x) = x / (1 + exp(-x)), written over x where that is possible: for values that nobody else holds. Autograd keeps
// what it needs itself.
inline at::Tensor SiluInto(const at::Tensor& x) {
  return Rounded(x, [](at::Tensor values) { return at::silu_(values); });
}

}  // namespace lcsc
