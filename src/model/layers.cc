#include "lcsc/model/layers.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

struct Fan {
  std::int64_t in = 0, out = 0;
};

at::Tensor DrawWeight(at::IntArrayRef shape, const WeightInit& init, const Fan& fan) {
  const double bound_squared = init.mode == InitMode::kXavierUniform ? 6.0 / static_cast<double>(fan.in + fan.out)
                                                                     : 3.0 / static_cast<double>(fan.in);
  return (at::rand(shape) * 2 - 1) * (std::sqrt(bound_squared) * init.scale);
}

bool IsBox(const std::vector<double>& filter) { return filter.size() == 2 && filter[0] == filter[1]; }

}  // namespace

Linear::Linear(const LinearOptions& options)
    : weight_(register_parameter("weight", DrawWeight({options.out_features, options.in_features}, options.init,
                                                      {options.in_features, options.out_features}))) {
  if (options.bias) bias_ = register_parameter("bias", at::zeros({options.out_features}));
}

at::Tensor Linear::Forward(const at::Tensor& x) const { return at::linear(x, weight_, bias_); }

Conv2d::Conv2d(const Conv2dOptions& options) : options_(options) {
  const std::int64_t kernel = options.kernel;
  if (kernel > 0) {
    const Fan fan = {options.in_channels * kernel * kernel, options.out_channels * kernel * kernel};
    weight_ = register_parameter(
        "weight", DrawWeight({options.out_channels, options.in_channels, kernel, kernel}, options.init, fan));
    bias_ = register_parameter("bias", at::zeros({options.out_channels}));
  }
  if (options.resample != Resample::kNone) {
    LCSC_CHECK(!options.resample_filter.empty() && options.resample_filter.size() % 2 == 0);
    const at::Tensor taps = at::tensor(options.resample_filter, at::kFloat);
    resample_filter_ =
        register_buffer("resample_filter", (taps.ger(taps) / taps.sum().square()).unsqueeze(0).unsqueeze(1));
  }
}

at::Tensor Conv2d::Resampled(const at::Tensor& x, std::int64_t padding) const {
  const std::int64_t channels = x.size(1);
  const at::Tensor filter = resample_filter_.expand({channels, 1, -1, -1});
  if (options_.resample == Resample::kDown) return at::conv2d(x, filter, {}, 2, padding, 1, channels);
  // Repeating pixels is what a box filter does, seven times as fast.
  if (IsBox(options_.resample_filter)) return at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)}, 2.0, 2.0);
  return at::conv_transpose2d(x, filter * 4, {}, 2, padding, 0, channels);
}

at::Tensor Conv2d::Forward(const at::Tensor& x, double gain) const {
  const std::int64_t w_pad = options_.kernel / 2;
  const std::int64_t f_pad = (static_cast<std::int64_t>(options_.resample_filter.size()) - 1) / 2;
  if (options_.kernel == 0) return Resampled(x, f_pad);
  const at::Tensor weight = gain == 1 ? weight_ : weight_ * gain;
  const at::Tensor bias = gain == 1 ? bias_ : bias_ * gain;
  if (options_.resample == Resample::kNone) return at::conv2d(x, weight, bias, 1, w_pad);
  if (!options_.fused_resample) return at::conv2d(Resampled(x, f_pad), weight, bias, 1, w_pad);
  // Padded once, for both: whatever the filter would cut off is not convolved, and the other way round.
  if (options_.resample == Resample::kUp) {
    return at::conv2d(Resampled(x, std::max<std::int64_t>(f_pad - w_pad, 0)), weight, bias, 1,
                      std::max<std::int64_t>(w_pad - f_pad, 0));
  }
  return Resampled(at::conv2d(x, weight, {}, 1, w_pad + f_pad), 0).add_(bias.view({1, -1, 1, 1}));
}

GroupNorm::GroupNorm(const GroupNormOptions& options)
    : groups_(std::min<std::int64_t>(32, options.channels / 4)), eps_(options.eps) {
  if (groups_ < 1 || options.channels % groups_ != 0) {
    throw ConfigError(
        "a layer of {} channels cannot be normalised in min(32, channels / 4) groups; choose channel "
        "numbers that are multiples of 4, and of 32 above 128",
        options.channels);
  }
  weight_ = register_parameter("weight", at::ones({options.channels}));
  bias_ = register_parameter("bias", at::zeros({options.channels}));
}

at::Tensor GroupNorm::Forward(const at::Tensor& x) const { return at::group_norm(x, groups_, weight_, bias_, eps_); }

NoiseEmbedding::NoiseEmbedding(const NoiseEmbeddingOptions& options) : options_(options) {
  constexpr double kFourierScale = 16;
  if (options.channels < 4 || options.channels % 2 != 0) {
    throw ConfigError(
        "the noise embedding has {} channels (model_channels * channel_mult_noise); expected an even "
        "number of at least 4",
        options.channels);
  }
  if (options.type == EmbeddingType::kFourier) {
    freqs_ = register_buffer("freqs", at::randn({options.channels / 2}) * kFourierScale);
  }
}

at::Tensor NoiseEmbedding::Forward(const at::Tensor& labels) const {
  constexpr double kMaxPositions = 10000;
  at::Tensor freqs;
  if (options_.type == EmbeddingType::kFourier) {
    freqs = freqs_ * (2 * std::numbers::pi);
  } else {
    const std::int64_t half = options_.channels / 2;
    const at::Tensor exponents = at::arange(half, labels.options()) / static_cast<double>(half - 1);
    freqs = at::pow(1 / kMaxPositions, exponents);
  }
  const at::Tensor angles = labels.ger(freqs);
  return at::cat({angles.sin(), angles.cos()}, 1);
}

}  // namespace lcsc
