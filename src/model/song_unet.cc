#include "lcsc/model/song_unet.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

#include "lcsc/base/error.h"
#include "unet_levels.h"

namespace lcsc {
namespace {

constexpr double kEps = 1e-6;       // of every group norm in this network
constexpr double kLastInit = 1e-5;  // residual branches start as almost nothing
constexpr double kSkipScale = 1 / std::numbers::sqrt2;

Conv2dOptions PlainConv(std::int64_t in_channels, std::int64_t out_channels, std::int64_t kernel) {
  return {.in_channels = in_channels, .out_channels = out_channels, .kernel = kernel, .init = {}};
}

Conv2dOptions ResampleOnly(std::int64_t channels, Resample resample, const std::vector<double>& filter) {
  return {.in_channels = channels,
          .out_channels = channels,
          .kernel = 0,
          .resample = resample,
          .resample_filter = filter,
          .init = {}};
}

void CheckOptions(const SongUNetOptions& options) {
  CheckLevels({"SongUNet", "img_resolution", "channel_mult"}, options.img_resolution, options.channel_mult.size());
  if (options.resample_filter.empty() || options.resample_filter.size() % 2 != 0) {
    throw ConfigError("SongUNet: resample_filter has {} taps; expected an even number, as in [1, 1] or [1, 3, 3, 1]",
                      options.resample_filter.size());
  }
}

}  // namespace

SongUNet::SongUNet(const SongUNetOptions& options)
    : BareNetwork({options.in_channels, options.out_channels, options.img_resolution, options.label_dim}),
      options_(options) {
  CheckOptions(options);
  const std::int64_t noise_channels = options.model_channels * options.channel_mult_noise;
  const std::int64_t emb_channels = options.model_channels * options.channel_mult_emb;
  const auto add_linear = [&](const char* name, const LinearOptions& linear) {
    return register_module(name, std::make_shared<Linear>(linear));
  };
  map_noise_ = register_module(
      "map_noise", std::make_shared<NoiseEmbedding>(NoiseEmbeddingOptions{options.embedding_type, noise_channels}));
  if (options.label_dim > 0) map_label_ = add_linear("map_label", {options.label_dim, noise_channels, true, {}});
  if (options.augment_dim > 0) add_linear("map_augment", {options.augment_dim, noise_channels, false, {}});
  map_layer0_ = add_linear("map_layer0", {noise_channels, emb_channels, true, {}});
  map_layer1_ = add_linear("map_layer1", {emb_channels, emb_channels, true, {}});
  const auto enc = register_module("enc", std::make_shared<torch::nn::Module>());
  const auto dec = register_module("dec", std::make_shared<torch::nn::Module>());
  BuildDecoder(*dec, BuildEncoder(*enc));
}

UNetBlockOptions SongUNet::BlockOptions(std::int64_t in_channels, std::int64_t out_channels) const {
  return {.in_channels = in_channels,
          .out_channels = out_channels,
          .emb_channels = options_.model_channels * options_.channel_mult_emb,
          .resample_filter = options_.resample_filter,
          .resample_proj = true,
          .dropout = options_.dropout,
          .eps = kEps,
          .skip_scale = kSkipScale,
          .attn_init = {.scale = std::sqrt(0.2)},
          .last_init = {.scale = kLastInit}};
}

bool SongUNet::AttendsAt(std::int64_t resolution) const {
  return std::ranges::find(options_.attn_resolutions, resolution) != options_.attn_resolutions.end();
}

std::vector<std::int64_t> SongUNet::BuildEncoder(torch::nn::Module& enc) {
  std::vector<std::int64_t> skip_channels;
  std::int64_t channels = options_.model_channels, aux_channels = options_.in_channels;
  for (std::size_t i = 0; i < options_.channel_mult.size(); ++i) {
    const LevelNames names(enc, Resolution(i));
    EncoderLevel level;
    if (i == 0) {
      level.conv = names.Add<Conv2d>("conv", PlainConv(options_.in_channels, channels, 3));
    } else {
      UNetBlockOptions down = BlockOptions(channels, channels);
      down.resample = Resample::kDown;
      level.down = names.Add<UNetBlock>("down", down);
      Conv2dOptions aux = ResampleOnly(aux_channels, Resample::kDown, options_.resample_filter);
      if (options_.encoder_type == EncoderType::kSkip) {
        level.aux_down = names.Add<Conv2d>("aux_down", aux);
        level.aux_skip = names.Add<Conv2d>("aux_skip", PlainConv(aux_channels, channels, 1));
      } else if (options_.encoder_type == EncoderType::kResidual) {
        aux.out_channels = channels;
        aux.kernel = 3;
        aux.fused_resample = true;
        level.aux_residual = names.Add<Conv2d>("aux_residual", aux);
        aux_channels = channels;
      }
    }
    skip_channels.push_back(channels);
    for (std::int64_t block = 0; block < options_.num_blocks; ++block) {
      const std::int64_t in_channels = std::exchange(channels, options_.model_channels * options_.channel_mult[i]);
      UNetBlockOptions block_options = BlockOptions(in_channels, channels);
      block_options.heads = AttendsAt(Resolution(i)) ? 1 : 0;
      level.blocks.push_back(names.Add<UNetBlock>(fmt::format("block{}", block), block_options));
      skip_channels.push_back(channels);
    }
    encoder_.push_back(std::move(level));
  }
  return skip_channels;
}

void SongUNet::BuildDecoder(torch::nn::Module& dec, std::vector<std::int64_t> skip_channels) {
  const std::size_t coarsest = options_.channel_mult.size() - 1;
  std::int64_t channels = skip_channels.back();
  for (std::size_t i = coarsest + 1; i-- > 0;) {
    const LevelNames names(dec, Resolution(i));
    DecoderLevel level;
    level.entry = AddDecoderEntry(names, {BlockOptions(channels, channels), i == coarsest, /*heads=*/1});
    for (std::int64_t block = 0; block <= options_.num_blocks; ++block) {
      const std::int64_t in_channels = channels + skip_channels.back();
      skip_channels.pop_back();
      channels = options_.model_channels * options_.channel_mult[i];
      UNetBlockOptions block_options = BlockOptions(in_channels, channels);
      block_options.heads = block == options_.num_blocks && AttendsAt(Resolution(i)) ? 1 : 0;
      level.blocks.push_back(names.Add<UNetBlock>(fmt::format("block{}", block), block_options));
    }
    if (options_.decoder_type == DecoderType::kSkip || i == 0) {
      const std::int64_t out = options_.out_channels;
      if (options_.decoder_type == DecoderType::kSkip && i < coarsest) {
        level.aux_up = names.Add<Conv2d>("aux_up", ResampleOnly(out, Resample::kUp, options_.resample_filter));
      }
      level.aux_norm = names.Add<GroupNorm>("aux_norm", GroupNormOptions{channels, kEps, 0});
      Conv2dOptions last = PlainConv(channels, out, 3);
      last.init.scale = kLastInit;
      level.aux_conv = names.Add<Conv2d>("aux_conv", last);
    }
    decoder_.push_back(std::move(level));
  }
  LCSC_CHECK(skip_channels.empty());
}

at::Tensor SongUNet::Forward(const at::Tensor& x, const at::Tensor& time, const at::Tensor& labels) const {
  const at::Tensor emb = Embed(time, labels);
  return Decode(Encode(x, emb), emb);
}

at::Tensor SongUNet::Embed(const at::Tensor& time, const at::Tensor& labels) const {
  at::Tensor emb = map_noise_->Forward(time);
  if (map_label_) {
    const LabelInput input = {options_.label_dim, is_training() ? options_.label_dropout : 0};
    const at::Tensor kept = LabelsOrZeros(labels, input, emb.options());
    emb = emb + map_label_->Forward(kept * std::sqrt(static_cast<double>(options_.label_dim)));
  }
  emb = SiluInto(map_layer0_->Forward(emb));
  return SiluInto(map_layer1_->Forward(emb));
}

std::vector<at::Tensor> SongUNet::Encode(at::Tensor x, const at::Tensor& emb) const {
  std::vector<at::Tensor> skips;
  at::Tensor aux = x;
  for (const EncoderLevel& level : encoder_) {
    x = level.conv ? level.conv->Forward(x) : level.down->Forward(x, emb);
    if (level.aux_skip) {
      aux = level.aux_down->Forward(aux);
      x = x + level.aux_skip->Forward(aux);
    } else if (level.aux_residual) {
      aux = x = (x + level.aux_residual->Forward(aux)) * kSkipScale;
    }
    skips.push_back(x);
    for (const auto& block : level.blocks) skips.push_back(x = block->Forward(x, emb));
  }
  return skips;
}

at::Tensor SongUNet::Decode(std::vector<at::Tensor> skips, const at::Tensor& emb) const {
  at::Tensor x = skips.back(), aux;
  for (const DecoderLevel& level : decoder_) {
    for (const auto& block : level.entry) x = block->Forward(x, emb);
    for (const auto& block : level.blocks) {
      x = block->Forward(at::cat({x, skips.back()}, 1), emb);
      skips.pop_back();
    }
    if (level.aux_up) aux = level.aux_up->Forward(aux);
    if (level.aux_conv) {
      const at::Tensor image = level.aux_conv->Forward(level.aux_norm->Forward(x, {.silu = true}));
      aux = aux.defined() ? aux + image : image;
    }
  }
  return aux;
}

}  // namespace lcsc
