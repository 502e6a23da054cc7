#include "lcsc/model/attention.h"

#include <cmath>

#include "lcsc/base/error.h"

namespace lcsc {

SelfAttention::SelfAttention(torch::nn::Module& owner, const SelfAttentionOptions& options) : options_(options) {
  const std::int64_t channels = options.channels;
  if (options.heads < 1 || channels % options.heads != 0) {
    throw ConfigError("attention over {} channels cannot have {} heads; choose heads that divide the channels",
                      channels, options.heads);
  }
  const auto add_conv = [&](const char* name, std::int64_t out_channels, const WeightInit& init) {
    return owner.register_module(name,
                                 std::make_shared<Conv2d>(Conv2dOptions{.in_channels = channels,
                                                                        .out_channels = out_channels,
                                                                        .kernel = 1,
                                                                        .one_dimensional = options.one_dimensional,
                                                                        .init = init}));
  };
  options_.norm.channels = channels;
  norm_ = owner.register_module(options.norm_name, std::make_shared<GroupNorm>(options_.norm));
  if (options.layout == QkvLayout::kSeparate) {
    for (const char* name : {"q", "k", "v"}) qkv_.push_back(add_conv(name, channels, options.qkv_init));
  } else {
    qkv_.push_back(add_conv(options.qkv_name, 3 * channels, options.qkv_init));
  }
  proj_ = add_conv(options.proj_name, channels, options.proj_init);
}

std::vector<at::Tensor> SelfAttention::Project(const at::Tensor& x) const {
  const at::Tensor normed = norm_->Forward(x);
  const std::int64_t n = x.size(0), pixels = x.size(2) * x.size(3), heads = options_.heads;
  const std::int64_t dim = options_.channels / heads;
  if (options_.layout == QkvLayout::kSeparate) {
    std::vector<at::Tensor> parts;
    for (const auto& conv : qkv_) parts.push_back(conv->Forward(normed).reshape({n * heads, dim, pixels}));
    return parts;
  }
  const at::Tensor packed = qkv_.front()->Forward(normed);
  switch (options_.layout) {
    case QkvLayout::kHeadDimThree:
      return packed.reshape({n * heads, dim, 3, pixels}).unbind(2);
    case QkvLayout::kHeadThreeDim:
      return packed.reshape({n * heads, 3, dim, pixels}).unbind(1);
    default: {
      std::vector<at::Tensor> parts = packed.reshape({n, 3, heads, dim, pixels}).unbind(1);
      for (at::Tensor& part : parts) part = part.reshape({n * heads, dim, pixels});
      return parts;
    }
  }
}

at::Tensor SelfAttention::Forward(const at::Tensor& x) const {
  std::vector<at::Tensor> qkv = Project(x);
  for (at::Tensor& part : qkv) part = part.to(at::kFloat);
  const double score_scale = 1 / std::sqrt(static_cast<double>(qkv[0].size(1)));
  const at::Tensor scores = qkv[0].transpose(1, 2).bmm(qkv[1] * score_scale);
  const at::Tensor mixed = qkv[2].bmm(scores.softmax(2).transpose(1, 2)).to(x.scalar_type()).view(x.sizes());
  const double scale = options_.skip_scale;
  return proj_->Forward(mixed.contiguous(x.suggest_memory_format()), scale).add_(x, scale);
}

}  // namespace lcsc
