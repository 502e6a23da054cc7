#include "lcsc/model/layers.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "group_norm_kernel.h"
#include "lcsc/base/error.h"
#include "lcsc/model/weight_budget.h"

namespace lcsc {
namespace {

struct Fan {
  std::int64_t in = 0, out = 0;
};

at::Tensor DrawNow(at::IntArrayRef shape, InitMode mode, const Fan& fan, double scale) {
  if (scale == 0) return at::zeros(shape);
  if (mode == InitMode::kKaimingNormal) return at::randn(shape) * (scale / std::sqrt(static_cast<double>(fan.in)));
  const double bound_squared = mode == InitMode::kXavierUniform ? 6.0 / static_cast<double>(fan.in + fan.out)
                                                                : 3.0 / static_cast<double>(fan.in);
  return (at::rand(shape) * 2 - 1) * (std::sqrt(bound_squared) * scale);
}

at::Tensor Draw(at::IntArrayRef shape, InitMode mode, const Fan& fan, double scale) {
  return NewWeight(shape, [&] { return DrawNow(shape, mode, fan, scale); });
}

at::Tensor DrawWeight(at::IntArrayRef shape, const WeightInit& init, const Fan& fan) {
  return Draw(shape, init.mode, fan, init.scale);
}

at::Tensor DrawBias(std::int64_t size, const WeightInit& init, const Fan& fan) {
  return Draw({size}, init.mode, fan, init.bias_scale);
}

// [n, c] -> [n, c, 1, 1]
at::Tensor PerChannel(const at::Tensor& rows) { return rows.unsqueeze(2).unsqueeze(3); }

bool IsBox(const std::vector<double>& filter) { return filter.size() == 2 && filter[0] == filter[1]; }

}  // namespace

void RegisterPath(torch::nn::Module& owner, const std::string& path, std::shared_ptr<torch::nn::Module> layer) {
  const std::size_t dot = path.find('.');
  const std::string first = path.substr(0, dot);
  if (dot == std::string::npos) {
    owner.register_module(first, std::move(layer));
    return;
  }
  const auto children = owner.named_children();
  const auto* known = children.find(first);
  const auto inner = known ? *known : owner.register_module(first, std::make_shared<torch::nn::Module>());
  RegisterPath(*inner, path.substr(dot + 1), std::move(layer));
}

Linear::Linear(const LinearOptions& options)
    : weight_(register_parameter("weight", DrawWeight({options.out_features, options.in_features}, options.init,
                                                      {options.in_features, options.out_features}))) {
  if (!options.bias) return;
  bias_ = register_parameter("bias",
                             DrawBias(options.out_features, options.init, {options.in_features, options.out_features}));
}

at::Tensor Linear::Forward(const at::Tensor& x) const {
  const at::ScalarType type = x.scalar_type();
  return at::linear(x, weight_.to(type), bias_.defined() ? bias_.to(type) : bias_);
}

LabelTable::LabelTable(const LabelTableOptions& options)
    : weight_(register_parameter("weight", NewWeight({options.num_classes, options.channels}, [&] {
                                   return at::randn({options.num_classes, options.channels});
                                 }))) {}

at::Tensor LabelTable::Forward(const at::Tensor& labels) const {
  if (!labels.defined()) {
    throw InputError("the network has {} classes and looks every sample's up; expected labels, found none",
                     weight_.size(0));
  }
  return weight_.index_select(0, labels.argmax(1));
}

Conv2d::Conv2d(const Conv2dOptions& options) : options_(options) {
  const std::int64_t kernel = options.kernel;
  LCSC_CHECK(!options.one_dimensional || kernel == 1);
  if (kernel > 0) {
    const Fan fan = {options.in_channels * kernel * kernel, options.out_channels * kernel * kernel};
    std::vector<std::int64_t> shape = {options.out_channels, options.in_channels, kernel, kernel};
    if (options.one_dimensional) shape.pop_back();
    weight_ = register_parameter("weight", DrawWeight(shape, options.init, fan));
    bias_ = register_parameter("bias", DrawBias(options.out_channels, options.init, fan));
  }
  if (options.resample != Resample::kNone && !options.resample_filter.empty()) {
    LCSC_CHECK(options.resample_filter.size() % 2 == 0);
    const auto taps_count = static_cast<std::int64_t>(options.resample_filter.size());
    SpendWeights({taps_count, taps_count});
    const at::Tensor taps = at::tensor(options.resample_filter, at::kFloat);
    resample_filter_ =
        register_buffer("resample_filter", (taps.ger(taps) / taps.sum().square()).unsqueeze(0).unsqueeze(1));
  }
}

at::Tensor Conv2d::Resampled(const at::Tensor& x, std::int64_t padding) const {
  const bool up = options_.resample == Resample::kUp;
  // Repeating pixels, or their average, is what a box filter does, several times as fast.
  if (up && (!resample_filter_.defined() || IsBox(options_.resample_filter))) {
    return at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)}, 2.0, 2.0);
  }
  if (!resample_filter_.defined() || (IsBox(options_.resample_filter) && padding == 0)) {
    return at::avg_pool2d(x, {2, 2});
  }
  const std::int64_t channels = x.size(1);
  const at::Tensor filter = resample_filter_.to(x.scalar_type()).expand({channels, 1, -1, -1});
  if (up) return at::conv_transpose2d(x, filter * 4, {}, 2, padding, 0, channels);
  return at::conv2d(x, filter, {}, 2, padding, 1, channels);
}

at::Tensor Conv2d::Convolved(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) const {
  const std::int64_t w_pad = options_.kernel / 2, none = 0;
  if (options_.pad_end_only) {
    return at::conv2d(at::constant_pad_nd(x, {0, w_pad, 0, w_pad}), weight, bias, options_.stride, none);
  }
  if (options_.resample == Resample::kNone) return at::conv2d(x, weight, bias, options_.stride, w_pad);
  const auto taps = static_cast<std::int64_t>(options_.resample_filter.size());
  const std::int64_t f_pad = taps == 0 ? 0 : (taps - 1) / 2;
  if (options_.kernel == 0) return Resampled(x, f_pad);
  if (!options_.fused_resample) return at::conv2d(Resampled(x, f_pad), weight, bias, 1, w_pad);
  // Padded once, for both: whatever the filter would cut off is not convolved, and the other way round.
  if (options_.resample == Resample::kUp) {
    return at::conv2d(Resampled(x, std::max<std::int64_t>(f_pad - w_pad, 0)), weight, bias, 1,
                      std::max<std::int64_t>(w_pad - f_pad, 0));
  }
  return Resampled(at::conv2d(x, weight, {}, 1, w_pad + f_pad), 0).add_(bias.view({1, -1, 1, 1}));
}

at::Tensor Conv2d::Forward(const at::Tensor& x, double gain) const {
  const at::ScalarType type = x.scalar_type();
  at::Tensor weight = weight_, bias = bias_;
  if (gain != 1) weight = weight * gain, bias = bias * gain;
  if (options_.one_dimensional) weight = weight.unsqueeze(3);
  if (type == at::kFloat) return Convolved(x, weight, bias);
  return Rounded(x, [&](const at::Tensor& values) {
    const auto as_values = [&](const at::Tensor& parameter) {
      return parameter.defined() ? parameter.to(type).to(values.scalar_type()) : parameter;
    };
    return Convolved(values, as_values(weight), as_values(bias));
  });
}

GroupNorm::GroupNorm(const GroupNormOptions& options)
    : groups_(options.groups > 0 ? options.groups : std::min<std::int64_t>(32, options.channels / 4)),
      eps_(options.eps) {
  if (groups_ < 1 || options.channels % groups_ != 0) {
    throw ConfigError(
        "a layer of {} channels cannot be normalised in {}; choose channel numbers that are {}", options.channels,
        options.groups > 0 ? fmt::format("{} groups", groups_) : "min(32, channels / 4) groups",
        options.groups > 0 ? fmt::format("multiples of {}", groups_) : "multiples of 4, and of 32 above 128");
  }
  weight_ = register_parameter("weight", NewWeight({options.channels}, [&] { return at::ones({options.channels}); }));
  bias_ = register_parameter("bias", NewWeight({options.channels}, [&] { return at::zeros({options.channels}); }));
}

at::Tensor GroupNorm::Forward(const at::Tensor& x, const AroundNorm& around) const {
  if (FitsGroupNormKernel(x)) {
    return GroupNormKernel({.x = x,
                            .groups = groups_,
                            .eps = eps_,
                            .weight = weight_,
                            .bias = bias_,
                            .shift = around.shift,
                            .gain = around.gain,
                            .offset = around.offset,
                            .silu = around.silu});
  }
  const at::Tensor shifted = around.shift.defined() ? x + PerChannel(around.shift) : x;
  at::Tensor z = Rounded(shifted, [&](const at::Tensor& values) {
    const at::ScalarType type = values.scalar_type();
    return at::group_norm(values, groups_, weight_.to(type), bias_.to(type), eps_);
  });
  if (around.gain.defined()) {
    z = Rounded(z, [&](const at::Tensor& values) {
      const at::ScalarType type = values.scalar_type();
      return at::addcmul(PerChannel(around.offset).to(type), values, (PerChannel(around.gain) + 1).to(type));
    });
  }
  return around.silu ? SiluInto(z) : z;
}

NoiseEmbedding::NoiseEmbedding(const NoiseEmbeddingOptions& options) : options_(options) {
  constexpr double kFourierScale = 16;
  if (options.channels < 4 || options.channels % 2 != 0) {
    throw ConfigError(
        "the noise embedding has {} channels (model_channels * channel_mult_noise); expected an even "
        "number of at least 4",
        options.channels);
  }
  if (options.type == EmbeddingType::kFourier) {
    const std::int64_t half = options.channels / 2;
    freqs_ = register_buffer("freqs", NewWeight({half}, [&] { return at::randn({half}) * kFourierScale; }));
  }
}

at::Tensor NoiseEmbedding::Frequencies(const at::TensorOptions& type) const {
  constexpr double kMaxPeriod = 10000;
  const std::int64_t half = options_.channels / 2;
  const at::Tensor i = at::arange(half, type);
  switch (options_.type) {
    case EmbeddingType::kPositional:
      return at::pow(1 / kMaxPeriod, i / static_cast<double>(half - 1));
    case EmbeddingType::kFourier:
      return freqs_ * (2 * std::numbers::pi);
    case EmbeddingType::kDhariwal:
      return at::pow(1 / kMaxPeriod, i / static_cast<double>(half));
    case EmbeddingType::kAdm:
      return (i * -std::log(kMaxPeriod) / static_cast<double>(half)).exp();
    case EmbeddingType::kDdpm:
      return (i * -(std::log(kMaxPeriod) / static_cast<double>(half - 1))).exp();
  }
  throw InvariantError("an embedding without frequencies");
}

at::Tensor NoiseEmbedding::Forward(const at::Tensor& time) const {
  const at::Tensor angles = time.ger(Frequencies(time.options()));
  const bool cosines_first = options_.type == EmbeddingType::kDhariwal || options_.type == EmbeddingType::kAdm;
  return cosines_first ? at::cat({angles.cos(), angles.sin()}, 1) : at::cat({angles.sin(), angles.cos()}, 1);
}

}  // namespace lcsc
