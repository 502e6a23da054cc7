#include "lcsc/model/unet_block.h"

#include <cmath>

namespace lcsc {
UNetBlock::UNetBlock(const UNetBlockOptions& options) : options_(options) {
  const std::int64_t in = options.in_channels, out = options.out_channels;
  const WeightInit last_init = {.scale = options.last_init};
  const auto add_conv = [&](const char* name, const Conv2dOptions& conv) {
    return register_module(name, std::make_shared<Conv2d>(conv));
  };
  const auto add_norm = [&](const char* name, std::int64_t channels) {
    return register_module(name, std::make_shared<GroupNorm>(GroupNormOptions{channels, options.eps}));
  };

  norm0_ = add_norm("norm0", in);
  conv0_ = add_conv("conv0", {.in_channels = in,
                              .out_channels = out,
                              .resample = options.resample,
                              .resample_filter = options.resample_filter,
                              .init = {}});
  affine_ = register_module("affine", std::make_shared<Linear>(LinearOptions{
                                          .in_features = options.emb_channels, .out_features = out, .init = {}}));
  norm1_ = add_norm("norm1", out);
  conv1_ = add_conv("conv1", {.in_channels = out, .out_channels = out, .init = last_init});
  if (in != out || options.resample != Resample::kNone) {
    skip_ = add_conv("skip", {.in_channels = in,
                              .out_channels = out,
                              .kernel = 1,
                              .resample = options.resample,
                              .resample_filter = options.resample_filter,
                              .init = {}});
  }
  if (options.attention) {
    norm2_ = add_norm("norm2", out);
    qkv_ = add_conv("qkv",
                    {.in_channels = out, .out_channels = 3 * out, .kernel = 1, .init = {.scale = options.attn_init}});
    proj_ = add_conv("proj", {.in_channels = out, .out_channels = out, .kernel = 1, .init = last_init});
  }
}

at::Tensor UNetBlock::Forward(const at::Tensor& x, const at::Tensor& emb) const {
  const double scale = options_.skip_scale;
  at::Tensor hidden = conv0_->Forward(SiluInto(norm0_->Forward(x)));
  hidden.add_(affine_->Forward(emb).unsqueeze(2).unsqueeze(3));
  hidden = SiluInto(norm1_->Forward(hidden));
  if (is_training() && options_.dropout > 0) hidden = at::dropout(hidden, options_.dropout, /*train=*/true);
  hidden = conv1_->Forward(hidden, scale);
  hidden.add_(skip_ ? skip_->Forward(x) : x, scale);
  return options_.attention ? proj_->Forward(Attend(hidden), scale).add_(hidden, scale) : hidden;
}

at::Tensor UNetBlock::Attend(const at::Tensor& x) const {
  const std::int64_t n = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3);
  // The channels of qkv are (channel, which of q, k, v): q, k, v are [n, channels, h w].
  const auto qkv = qkv_->Forward(norm2_->Forward(x)).reshape({n, channels, 3, height * width}).unbind(2);
  const double score_scale = 1 / std::sqrt(static_cast<double>(channels));
  const at::Tensor scores = qkv[0].transpose(1, 2).bmm(qkv[1] * score_scale);
  const at::Tensor mixed = qkv[2].bmm(scores.softmax(2).transpose(1, 2));
  return mixed.view({n, channels, height, width}).contiguous(x.suggest_memory_format());
}

}  // namespace lcsc
