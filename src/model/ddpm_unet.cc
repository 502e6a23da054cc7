#include "lcsc/model/ddpm_unet.h"

#include <algorithm>

#include "unet_levels.h"

namespace lcsc {
namespace {

constexpr GroupNormOptions kNorm = {.eps = 1e-6, .groups = 32};

}  // namespace

DdpmUNet::DdpmUNet(const DdpmUNetOptions& options)
    : BareNetwork({options.in_channels, options.out_ch, options.image_size, /*label_dim=*/0}),
      options_(options),
      time_embedding_({EmbeddingType::kDdpm, options.ch}) {
  CheckLevels({"DDPM UNet", "image_size", "ch_mult"}, options.image_size, options.ch_mult.size());
  const std::int64_t emb_channels = kEmbMultiplier * options.ch;
  const auto add = [&](const std::string& path, auto layer) {
    RegisterPath(*this, path, layer);
    return layer;
  };
  const auto add_conv = [&](const std::string& path, std::int64_t in_channels, std::int64_t out_channels) {
    return add(path, std::make_shared<Conv2d>(
                         Conv2dOptions{.in_channels = in_channels, .out_channels = out_channels, .init = kTorchInit}));
  };
  const auto add_block = [&](const std::string& path, std::int64_t channels) {
    return add(path, std::make_shared<UNetBlock>(BlockOptions(channels, channels)));
  };
  dense0_ = add("temb.dense.0", std::make_shared<Linear>(LinearOptions{options.ch, emb_channels, true, kTorchInit}));
  dense1_ = add("temb.dense.1", std::make_shared<Linear>(LinearOptions{emb_channels, emb_channels, true, kTorchInit}));
  conv_in_ = add_conv("conv_in", options.in_channels, options.ch);
  std::vector<std::int64_t> skip_channels = BuildEncoder();
  const std::int64_t coarsest = skip_channels.back();
  middle1_ = add_block("mid.block_1", coarsest);
  middle_attention_.emplace(MakeAttention("mid.attn_1", coarsest));
  middle2_ = add_block("mid.block_2", coarsest);
  BuildDecoder(std::move(skip_channels));
  GroupNormOptions norm = kNorm;
  norm.channels = ChannelsAt(0);
  norm_out_ = add("norm_out", std::make_shared<GroupNorm>(norm));
  conv_out_ = add_conv("conv_out", ChannelsAt(0), options.out_ch);
}

UNetBlockOptions DdpmUNet::BlockOptions(std::int64_t in_channels, std::int64_t out_channels) const {
  return {.in_channels = in_channels,
          .out_channels = out_channels,
          .emb_channels = kEmbMultiplier * options_.ch,
          .dropout = options_.dropout,
          .eps = kNorm.eps,
          .groups = kNorm.groups,
          .init = kTorchInit,
          .last_init = kTorchInit,
          .names = kDdpmBlockNames};
}

SelfAttention DdpmUNet::MakeAttention(const std::string& path, std::int64_t channels) {
  const auto owner = std::make_shared<torch::nn::Module>();
  RegisterPath(*this, path, owner);
  return SelfAttention(*owner, {.channels = channels,
                                .layout = QkvLayout::kSeparate,
                                .norm = kNorm,
                                .qkv_init = kTorchInit,
                                .proj_init = kTorchInit});
}

void DdpmUNet::AddBlock(Level& level, const std::string& path, std::int64_t in_channels, std::size_t depth) {
  const std::size_t number = level.blocks.size();
  const std::int64_t channels = ChannelsAt(depth);
  level.blocks.push_back(std::make_shared<UNetBlock>(BlockOptions(in_channels, channels)));
  RegisterPath(*this, fmt::format("{}.block.{}", path, number), level.blocks.back());
  const std::vector<std::int64_t>& attending = options_.attn_resolutions;
  if (std::ranges::find(attending, options_.image_size >> depth) != attending.end()) {
    level.attention.push_back(MakeAttention(fmt::format("{}.attn.{}", path, number), channels));
  }
}

void DdpmUNet::AddResampling(Level& level, const std::string& path, std::size_t depth, Resample resample) {
  const bool with_conv = options_.resamp_with_conv, strided = with_conv && resample == Resample::kDown;
  const char* name = resample == Resample::kDown ? "downsample" : "upsample";
  level.resample = std::make_shared<Conv2d>(Conv2dOptions{.in_channels = ChannelsAt(depth),
                                                          .out_channels = ChannelsAt(depth),
                                                          .kernel = with_conv ? 3 : 0,
                                                          .resample = strided ? Resample::kNone : resample,
                                                          .resample_filter = {},
                                                          .stride = strided ? 2 : 1,
                                                          .pad_end_only = strided,
                                                          .init = kTorchInit});
  RegisterPath(*this, fmt::format("{}.{}.conv", path, name), level.resample);
}

std::vector<std::int64_t> DdpmUNet::BuildEncoder() {
  std::vector<std::int64_t> skip_channels = {options_.ch};
  const std::size_t num_levels = options_.ch_mult.size();
  for (std::size_t depth = 0; depth < num_levels; ++depth) {
    const std::string path = fmt::format("down.{}", depth);
    Level level;
    for (std::int64_t i = 0; i < options_.num_res_blocks; ++i) {
      AddBlock(level, path, skip_channels.back(), depth);
      skip_channels.push_back(ChannelsAt(depth));
    }
    if (depth + 1 < num_levels) {
      AddResampling(level, path, depth, Resample::kDown);
      skip_channels.push_back(ChannelsAt(depth));
    }
    encoder_.push_back(std::move(level));
  }
  return skip_channels;
}

void DdpmUNet::BuildDecoder(std::vector<std::int64_t> skip_channels) {
  std::int64_t channels = skip_channels.back();
  for (std::size_t depth = options_.ch_mult.size(); depth-- > 0;) {
    const std::string path = fmt::format("up.{}", depth);
    Level level;
    for (std::int64_t i = 0; i <= options_.num_res_blocks; ++i) {
      AddBlock(level, path, channels + skip_channels.back(), depth);
      skip_channels.pop_back();
      channels = ChannelsAt(depth);
    }
    if (depth > 0) AddResampling(level, path, depth, Resample::kUp);
    decoder_.push_back(std::move(level));
  }
  LCSC_CHECK(skip_channels.empty());
}

at::Tensor DdpmUNet::Forward(const at::Tensor& image, const at::Tensor& time, const at::Tensor&) const {
  at::Tensor emb = dense1_->Forward(SiluInto(dense0_->Forward(time_embedding_.Forward(time))));
  // Every block begins with the activation of its embedding.
  emb = SiluInto(emb);
  const auto forward_block = [&emb](const Level& level, std::size_t i, const at::Tensor& input) {
    const at::Tensor x = level.blocks[i]->Forward(input, emb);
    return level.attention.empty() ? x : level.attention[i].Forward(x);
  };
  at::Tensor x = conv_in_->Forward(image);
  std::vector<at::Tensor> skips = {x};
  for (const Level& level : encoder_) {
    for (std::size_t i = 0; i < level.blocks.size(); ++i) skips.push_back(x = forward_block(level, i, x));
    if (level.resample) skips.push_back(x = level.resample->Forward(x));
  }
  x = middle2_->Forward(middle_attention_->Forward(middle1_->Forward(x, emb)), emb);
  for (const Level& level : decoder_) {
    for (std::size_t i = 0; i < level.blocks.size(); ++i) {
      x = forward_block(level, i, at::cat({x, skips.back()}, 1));
      skips.pop_back();
    }
    if (level.resample) x = level.resample->Forward(x);
  }
  return conv_out_->Forward(norm_out_->Forward(x, {.silu = true}));
}

}  // namespace lcsc
