// The layers of the EDM network family (Karras et al. 2022, App. B; Song et al. 2021, App. H), with its tensor names.
#pragma once

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <vector>

namespace lcsc {

// How fresh weights are drawn: uniform in +-scale * sqrt(gain / fan), biases 0.
enum class InitMode {
  kXavierUniform,   // sqrt(6 / (fan_in + fan_out))
  kKaimingUniform,  // sqrt(3 / fan_in)
};
struct WeightInit {
  InitMode mode = InitMode::kXavierUniform;
  double scale = 1;
};

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
  std::int64_t in_features() const { return weight_.size(1); }

 private:
  at::Tensor weight_, bias_;
};

enum class Resample { kNone, kUp, kDown };

struct Conv2dOptions {
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  std::int64_t kernel = 3;  // odd; 0 resamples only and has no weights
  Resample resample = Resample::kNone;
  std::vector<double> resample_filter = {1, 1};  // of even length; normalised to sum 1
  bool fused_resample = false;                   // one padding for convolution and filter together
  WeightInit init;
};

// A convolution that keeps the resolution, doubles it or halves it; weight [out, in, k, k], bias [out], and a buffer
// resample_filter [1, 1, f, f] when it resamples.
class Conv2d : public torch::nn::Module {
 public:
  explicit Conv2d(const Conv2dOptions& options);
  // x: [n, in_channels, h, w]; returns [n, out_channels, h', w'] in x's memory format, in memory of its own.
  // gain multiplies the result: at no cost, since it multiplies the weights. REQUIRES: kernel > 0 or gain == 1.
  at::Tensor Forward(const at::Tensor& x, double gain = 1) const;

 private:
  at::Tensor Resampled(const at::Tensor& x, std::int64_t padding) const;

  Conv2dOptions options_;
  at::Tensor weight_, bias_, resample_filter_;
};

struct GroupNormOptions {
  std::int64_t channels = 0;
  double eps = 1e-5;
};

// Group normalisation with min(32, channels / 4) groups; weight and bias [channels].
// Throws ConfigError when the channels do not divide into the groups.
class GroupNorm : public torch::nn::Module {
 public:
  explicit GroupNorm(const GroupNormOptions& options);
  at::Tensor Forward(const at::Tensor& x) const;

 private:
  std::int64_t groups_;
  double eps_;
  at::Tensor weight_, bias_;
};

enum class EmbeddingType { kPositional, kFourier };

struct NoiseEmbeddingOptions {
  EmbeddingType type = EmbeddingType::kPositional;
  std::int64_t channels = 0;  // even, >= 4
};

// sin and cos of the noise label at `channels` / 2 frequencies: geometric from 1 to 1e-4 (positional), or 2 pi times a
// buffer freqs [channels / 2] drawn from N(0, 16^2) (fourier).
class NoiseEmbedding : public torch::nn::Module {
 public:
  explicit NoiseEmbedding(const NoiseEmbeddingOptions& options);
  // labels: float32 [n]; returns float32 [n, channels]: the sines, then the cosines.
  at::Tensor Forward(const at::Tensor& labels) const;

 private:
  NoiseEmbeddingOptions options_;
  at::Tensor freqs_;
};

// silu(x) = x / (1 + exp(-x)), written over x: for values that nobody else holds. Autograd keeps what it needs itself.
inline at::Tensor SiluInto(at::Tensor x) { return at::silu_(x); }

}  // namespace lcsc
