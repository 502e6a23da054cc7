#include "lcsc/model/unet_block.h"

namespace lcsc {

UNetBlock::UNetBlock(const UNetBlockOptions& options) : options_(options) {
  const std::int64_t in = options.in_channels, out = options.out_channels;
  const auto add = [&](const char* name, auto layer) {
    RegisterPath(*this, name, layer);
    return layer;
  };
  const auto add_conv = [&](const char* name, const Conv2dOptions& conv) {
    return add(name, std::make_shared<Conv2d>(conv));
  };
  const auto add_norm = [&](const char* name, std::int64_t channels) {
    return add(name, std::make_shared<GroupNorm>(GroupNormOptions{channels, options.eps, options.groups}));
  };

  norm0_ = add_norm(options.names.norm0, in);
  conv0_ = add_conv(options.names.conv0, {.in_channels = in,
                                          .out_channels = out,
                                          .resample = options.resample,
                                          .resample_filter = options.resample_filter,
                                          .init = options.init});
  affine_ = add(options.names.affine,
                std::make_shared<Linear>(LinearOptions{.in_features = options.emb_channels,
                                                       .out_features = options.adaptive_scale ? 2 * out : out,
                                                       .init = options.init}));
  norm1_ = add_norm(options.names.norm1, out);
  conv1_ = add_conv(options.names.conv1, {.in_channels = out, .out_channels = out, .init = options.last_init});
  if (in != out || options.resample != Resample::kNone) {
    skip_ = std::make_shared<Conv2d>(Conv2dOptions{.in_channels = in,
                                                   .out_channels = out,
                                                   .kernel = options.resample_proj || in != out ? 1 : 0,
                                                   .resample = options.resample,
                                                   .resample_filter = options.resample_filter,
                                                   .init = options.init});
    RegisterPath(*this, options.names.skip, skip_);
  }
  if (options.heads > 0) {
    attention_.emplace(*this, SelfAttentionOptions{.channels = out,
                                                   .heads = options.heads,
                                                   .norm = {out, options.eps, options.groups},
                                                   .skip_scale = options.skip_scale,
                                                   .qkv_init = options.attn_init,
                                                   .proj_init = options.last_init,
                                                   .norm_name = "norm2",
                                                   .proj_name = "proj"});
  }
}

at::Tensor UNetBlock::Modulated(const at::Tensor& hidden, const at::Tensor& emb) const {
  const at::Tensor parameters = affine_->Forward(emb);
  if (!options_.adaptive_scale) return norm1_->Forward(hidden, {.shift = parameters, .silu = true});
  const std::vector<at::Tensor> scale_shift = parameters.chunk(2, 1);
  return norm1_->Forward(hidden, {.gain = scale_shift[0], .offset = scale_shift[1], .silu = true});
}

at::Tensor UNetBlock::Forward(const at::Tensor& x, const at::Tensor& emb) const {
  const double scale = options_.skip_scale;
  at::Tensor hidden = conv0_->Forward(norm0_->Forward(x, {.silu = true}));
  hidden = Modulated(hidden, emb);
  if (is_training() && options_.dropout > 0) hidden = at::dropout(hidden, options_.dropout, /*train=*/true);
  hidden = conv1_->Forward(hidden, scale);
  hidden.add_(skip_ ? skip_->Forward(x) : x, scale);
  return attention_ ? attention_->Forward(hidden) : hidden;
}

}  // namespace lcsc
