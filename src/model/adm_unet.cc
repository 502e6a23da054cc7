#include "lcsc/model/adm_unet.h"

#include <algorithm>

#include "unet_levels.h"

namespace lcsc {
namespace {

constexpr std::int64_t kGroups = 32;

}  // namespace

AdmUNet::AdmUNet(const AdmUNetOptions& options)
    : BareNetwork({options.in_channels, options.out_channels, options.image_size, options.num_classes,
                   /*needs_labels=*/options.num_classes > 0}),
      options_(options),
      time_embedding_({EmbeddingType::kAdm, options.model_channels}) {
  CheckLevels({"UNet", "image_size", "channel_mult"}, options.image_size, options.channel_mult.size());
  const std::int64_t channels = ChannelsAt(0), emb_channels = kEmbMultiplier * options.model_channels;
  const auto add = [&](const std::string& path, auto layer) {
    RegisterPath(*this, path, layer);
    return layer;
  };
  const auto add_linear = [&](const std::string& path, std::int64_t in_features) {
    return add(path, std::make_shared<Linear>(LinearOptions{in_features, emb_channels, true, kTorchInit}));
  };
  time_embed0_ = add_linear("time_embed.0", options.model_channels);
  time_embed2_ = add_linear("time_embed.2", emb_channels);
  if (options.num_classes > 0) {
    label_emb_ = add("label_emb", std::make_shared<LabelTable>(LabelTableOptions{options.num_classes, emb_channels}));
  }
  conv_in_ =
      add("input_blocks.0.0", std::make_shared<Conv2d>(Conv2dOptions{
                                  .in_channels = options.in_channels, .out_channels = channels, .init = kTorchInit}));
  std::vector<std::int64_t> skip_channels = BuildEncoder();
  const std::int64_t coarsest = skip_channels.back();
  middle_.block = AddBlock("middle_block.0", BlockOptions(coarsest, coarsest));
  AddAttention(middle_, "middle_block.1", coarsest, options.num_heads);
  middle_end_ = AddBlock("middle_block.2", BlockOptions(coarsest, coarsest));
  BuildDecoder(std::move(skip_channels));
  norm_out_ = add("out.0", std::make_shared<GroupNorm>(GroupNormOptions{.channels = channels, .groups = kGroups}));
  conv_out_ = add("out.2", std::make_shared<Conv2d>(Conv2dOptions{
                               .in_channels = channels, .out_channels = options.out_channels, .init = kZeroInit}));
}

std::int64_t AdmUNet::ChannelsAt(std::size_t level) const {
  return static_cast<std::int64_t>(options_.channel_mult[level] * static_cast<double>(options_.model_channels));
}

bool AdmUNet::AttendsAt(std::size_t level) const {
  return std::ranges::find(options_.attention_ds, std::int64_t{1} << level) != options_.attention_ds.end();
}

UNetBlockOptions AdmUNet::BlockOptions(std::int64_t in_channels, std::int64_t out_channels) const {
  return {.in_channels = in_channels,
          .out_channels = out_channels,
          .emb_channels = kEmbMultiplier * options_.model_channels,
          .resample_filter = {},
          .adaptive_scale = options_.use_scale_shift_norm,
          .dropout = options_.dropout,
          .groups = kGroups,
          .init = kTorchInit,
          .last_init = kZeroInit,
          .names = kAdmBlockNames};
}

std::shared_ptr<UNetBlock> AdmUNet::AddBlock(const std::string& path, const UNetBlockOptions& options) {
  const auto block = std::make_shared<UNetBlock>(options);
  RegisterPath(*this, path, block);
  return block;
}

void AdmUNet::AddAttention(Part& part, const std::string& path, std::int64_t channels, std::int64_t num_heads) {
  const std::int64_t head_channels = options_.num_head_channels;
  if (head_channels > 0 && channels % head_channels != 0) {
    throw ConfigError("UNet: attention over {} channels with num_head_channels {}; choose a divisor of the channels",
                      channels, head_channels);
  }
  const auto owner = std::make_shared<torch::nn::Module>();
  part.attention.emplace(*owner, SelfAttentionOptions{.channels = channels,
                                                      .heads = head_channels > 0 ? channels / head_channels : num_heads,
                                                      .layout = options_.qkv_layout,
                                                      .one_dimensional = options_.flattened_attention,
                                                      .norm = {.groups = kGroups},
                                                      .qkv_init = kTorchInit,
                                                      .proj_init = kZeroInit});
  RegisterPath(*this, path, owner);
}

void AdmUNet::AddResampling(Part& part, const std::string& path, std::int64_t channels, Resample resample) {
  if (options_.resblock_updown) {
    UNetBlockOptions options = BlockOptions(channels, channels);
    options.resample = resample;
    part.resample_block = AddBlock(path, options);
    return;
  }
  Conv2dOptions conv = {.in_channels = channels,
                        .out_channels = channels,
                        .resample = resample,
                        .resample_filter = {},
                        .init = kTorchInit};
  const bool strided = options_.conv_resample && resample == Resample::kDown;
  if (strided) {
    conv.resample = Resample::kNone;
    conv.stride = 2;
  }
  if (!options_.conv_resample) conv.kernel = 0;
  part.resample = std::make_shared<Conv2d>(conv);
  RegisterPath(*this, path + (resample == Resample::kDown ? ".op" : ".conv"), part.resample);
}

std::vector<std::int64_t> AdmUNet::BuildEncoder() {
  std::int64_t channels = ChannelsAt(0);
  std::vector<std::int64_t> skip_channels = {channels};
  const auto path = [&](int place) { return fmt::format("input_blocks.{}.{}", skip_channels.size(), place); };
  for (std::size_t level = 0; level < options_.channel_mult.size(); ++level) {
    for (std::int64_t i = 0; i < options_.num_res_blocks; ++i) {
      Part part;
      part.block = AddBlock(path(0), BlockOptions(channels, ChannelsAt(level)));
      channels = ChannelsAt(level);
      if (AttendsAt(level)) AddAttention(part, path(1), channels, options_.num_heads);
      encoder_.push_back(std::move(part));
      skip_channels.push_back(channels);
    }
    if (level + 1 == options_.channel_mult.size()) break;
    Part part;
    AddResampling(part, path(0), channels, Resample::kDown);
    encoder_.push_back(std::move(part));
    skip_channels.push_back(channels);
  }
  return skip_channels;
}

void AdmUNet::BuildDecoder(std::vector<std::int64_t> skip_channels) {
  const std::int64_t num_heads = options_.num_heads_upsample > 0 ? options_.num_heads_upsample : options_.num_heads;
  std::int64_t channels = skip_channels.back();
  for (std::size_t level = options_.channel_mult.size(); level-- > 0;) {
    for (std::int64_t i = 0; i <= options_.num_res_blocks; ++i) {
      int place = 0;
      const auto next_path = [&] { return fmt::format("output_blocks.{}.{}", decoder_.size(), place++); };
      Part part;
      part.block = AddBlock(next_path(), BlockOptions(channels + skip_channels.back(), ChannelsAt(level)));
      skip_channels.pop_back();
      channels = ChannelsAt(level);
      if (AttendsAt(level)) AddAttention(part, next_path(), channels, num_heads);
      if (level > 0 && i == options_.num_res_blocks) AddResampling(part, next_path(), channels, Resample::kUp);
      decoder_.push_back(std::move(part));
    }
  }
  LCSC_CHECK(skip_channels.empty());
}

at::Tensor AdmUNet::Part::Forward(at::Tensor x, const at::Tensor& emb) const {
  if (block) x = block->Forward(x, emb);
  if (attention) x = attention->Forward(x);
  if (resample_block) x = resample_block->Forward(x, emb);
  return resample ? resample->Forward(x) : x;
}

at::Tensor AdmUNet::Forward(const at::Tensor& image, const at::Tensor& time, const at::Tensor& labels) const {
  at::Tensor emb = time_embed2_->Forward(SiluInto(time_embed0_->Forward(time_embedding_.Forward(time))));
  if (label_emb_) emb = emb + label_emb_->Forward(labels);
  // Every block begins with the activation of its embedding.
  emb = SiluInto(emb);
  at::Tensor x = conv_in_->Forward(image);
  std::vector<at::Tensor> skips = {x};
  for (const Part& part : encoder_) skips.push_back(x = part.Forward(x, emb));
  x = middle_end_->Forward(middle_.Forward(x, emb), emb);
  for (const Part& part : decoder_) {
    x = part.Forward(at::cat({x, skips.back()}, 1), emb);
    skips.pop_back();
  }
  return conv_out_->Forward(norm_out_->Forward(x, {.silu = true}));
}

}  // namespace lcsc
