#include "lcsc/model/dhariwal_unet.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "unet_levels.h"

namespace lcsc {
namespace {

// As many heads as leave each at least this many channels; fewer channels do not attend at all.
constexpr std::int64_t kChannelsPerHead = 64;

}  // namespace

DhariwalUNet::DhariwalUNet(const DhariwalUNetOptions& options)
    : BareNetwork({options.in_channels, options.out_channels, options.img_resolution, options.label_dim}),
      options_(options),
      map_noise_({EmbeddingType::kDhariwal, options.model_channels}) {
  CheckLevels({"DhariwalUNet", "img_resolution", "channel_mult"}, options.img_resolution, options.channel_mult.size());
  const std::int64_t noise_channels = options.model_channels;
  const std::int64_t emb_channels = options.model_channels * options.channel_mult_emb;
  const auto add_linear = [&](const char* name, const LinearOptions& linear) {
    return register_module(name, std::make_shared<Linear>(linear));
  };
  if (options.augment_dim > 0) add_linear("map_augment", {options.augment_dim, noise_channels, false, kZeroInit});
  map_layer0_ = add_linear("map_layer0", {noise_channels, emb_channels, true, kTorchInit});
  map_layer1_ = add_linear("map_layer1", {emb_channels, emb_channels, true, kTorchInit});
  if (options.label_dim > 0) {
    const WeightInit normal = {InitMode::kKaimingNormal, std::sqrt(static_cast<double>(options.label_dim)), 0};
    map_label_ = add_linear("map_label", {options.label_dim, emb_channels, false, normal});
  }
  const auto enc = register_module("enc", std::make_shared<torch::nn::Module>());
  const auto dec = register_module("dec", std::make_shared<torch::nn::Module>());
  BuildDecoder(*dec, BuildEncoder(*enc));
  const std::int64_t channels = options.model_channels * options.channel_mult.front();
  out_norm_ = register_module("out_norm", std::make_shared<GroupNorm>(GroupNormOptions{.channels = channels}));
  out_conv_ = register_module(
      "out_conv", std::make_shared<Conv2d>(
                      Conv2dOptions{.in_channels = channels, .out_channels = options.out_channels, .init = kZeroInit}));
}

UNetBlockOptions DhariwalUNet::BlockOptions(std::int64_t in_channels, std::int64_t out_channels) const {
  return {.in_channels = in_channels,
          .out_channels = out_channels,
          .emb_channels = options_.model_channels * options_.channel_mult_emb,
          .adaptive_scale = true,
          .dropout = options_.dropout,
          .init = kTorchInit,
          .attn_init = kTorchInit,
          .last_init = kZeroInit};
}

std::int64_t DhariwalUNet::HeadsAt(std::int64_t resolution, std::int64_t channels) const {
  const bool attends = std::ranges::find(options_.attn_resolutions, resolution) != options_.attn_resolutions.end();
  return attends ? channels / kChannelsPerHead : 0;
}

std::vector<std::int64_t> DhariwalUNet::BuildEncoder(torch::nn::Module& enc) {
  std::vector<std::int64_t> skip_channels;
  std::int64_t channels = options_.model_channels * options_.channel_mult.front();
  for (std::size_t i = 0; i < options_.channel_mult.size(); ++i) {
    const std::int64_t resolution = options_.img_resolution >> i;
    const LevelNames names(enc, resolution);
    Level level;
    if (i == 0) {
      conv_ = names.Add<Conv2d>(
          "conv", Conv2dOptions{.in_channels = options_.in_channels, .out_channels = channels, .init = kTorchInit});
    } else {
      UNetBlockOptions down = BlockOptions(channels, channels);
      down.resample = Resample::kDown;
      level.entry.push_back(names.Add<UNetBlock>("down", down));
    }
    skip_channels.push_back(channels);
    for (std::int64_t block = 0; block < options_.num_blocks; ++block) {
      const std::int64_t in_channels = std::exchange(channels, options_.model_channels * options_.channel_mult[i]);
      UNetBlockOptions block_options = BlockOptions(in_channels, channels);
      block_options.heads = HeadsAt(resolution, channels);
      level.blocks.push_back(names.Add<UNetBlock>(fmt::format("block{}", block), block_options));
      skip_channels.push_back(channels);
    }
    encoder_.push_back(std::move(level));
  }
  return skip_channels;
}

void DhariwalUNet::BuildDecoder(torch::nn::Module& dec, std::vector<std::int64_t> skip_channels) {
  const std::size_t coarsest = options_.channel_mult.size() - 1;
  std::int64_t channels = skip_channels.back();
  for (std::size_t i = coarsest + 1; i-- > 0;) {
    const std::int64_t resolution = options_.img_resolution >> i;
    const LevelNames names(dec, resolution);
    Level level;
    level.entry =
        AddDecoderEntry(names, {BlockOptions(channels, channels), i == coarsest, channels / kChannelsPerHead});
    for (std::int64_t block = 0; block <= options_.num_blocks; ++block) {
      const std::int64_t in_channels = channels + skip_channels.back();
      skip_channels.pop_back();
      channels = options_.model_channels * options_.channel_mult[i];
      UNetBlockOptions block_options = BlockOptions(in_channels, channels);
      block_options.heads = HeadsAt(resolution, channels);
      level.blocks.push_back(names.Add<UNetBlock>(fmt::format("block{}", block), block_options));
    }
    decoder_.push_back(std::move(level));
  }
  LCSC_CHECK(skip_channels.empty());
}

at::Tensor DhariwalUNet::Embed(const at::Tensor& time, const at::Tensor& labels) const {
  at::Tensor emb = map_layer1_->Forward(SiluInto(map_layer0_->Forward(map_noise_.Forward(time))));
  if (map_label_) {
    const LabelInput input = {options_.label_dim, is_training() ? options_.label_dropout : 0};
    emb = emb + map_label_->Forward(LabelsOrZeros(labels, input, emb.options()));
  }
  return SiluInto(emb);
}

at::Tensor DhariwalUNet::Forward(const at::Tensor& image, const at::Tensor& time, const at::Tensor& labels) const {
  const at::Tensor emb = Embed(time, labels);
  at::Tensor x = conv_->Forward(image);
  std::vector<at::Tensor> skips = {x};
  for (const Level& level : encoder_) {
    for (const Blocks& blocks : {level.entry, level.blocks}) {
      for (const auto& block : blocks) skips.push_back(x = block->Forward(x, emb));
    }
  }
  for (const Level& level : decoder_) {
    for (const auto& block : level.entry) x = block->Forward(x, emb);
    for (const auto& block : level.blocks) {
      x = block->Forward(at::cat({x, skips.back()}, 1), emb);
      skips.pop_back();
    }
  }
  return out_conv_->Forward(out_norm_->Forward(x, {.silu = true}));
}

}  // namespace lcsc
