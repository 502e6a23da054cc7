// The UNet of OpenAI's code bases: consistency_models (ADM; Dhariwal & Nichol 2021) and improved-diffusion (Nichol &
// Dhariwal 2021), whose tensor names it has.
#pragma once

#include <memory>
#include <vector>

#include "lcsc/model/bare_network.h"
#include "lcsc/model/unet_block.h"

namespace lcsc {

// The constructor arguments, by their names, with their defaults.
struct AdmUNetOptions {
  std::int64_t image_size = 0;
  std::int64_t in_channels = 3;
  std::int64_t model_channels = 0;
  std::int64_t out_channels = 3;
  std::int64_t num_res_blocks = 0;
  std::vector<std::int64_t> attention_ds;           // downsampling factors at which there is attention
  std::vector<double> channel_mult = {1, 2, 4, 8};  // per resolution, finest first; fractions are cut to whole channels
  std::int64_t num_classes = 0;                     // 0 is unconditional
  double dropout = 0;
  bool conv_resample = true;     // between levels: convolutions, or repeated and averaged pixels
  bool resblock_updown = false;  // between levels: residual blocks instead
  bool use_scale_shift_norm = false;
  std::int64_t num_heads = 1;
  std::int64_t num_head_channels = 0;   // above 0: channels / num_head_channels heads, whatever num_heads says
  std::int64_t num_heads_upsample = 0;  // in the decoder; 0: num_heads
  QkvLayout qkv_layout = QkvLayout::kThreeHeadDim;
  bool flattened_attention = false;  // qkv and proj_out are stored as convolutions over flattened pixels
};

class AdmUNet : public BareNetwork {
 public:
  // Throws ConfigError when sizes do not fit together.
  explicit AdmUNet(const AdmUNetOptions& options);
  // time: as timestep_embedding receives it, whole or not. labels: needed when there are classes.
  at::Tensor Forward(const at::Tensor& x, const at::Tensor& time, const at::Tensor& labels) const override;

 private:
  // One of the numbered parts of input_blocks, middle_block and output_blocks: what is there, in this order.
  struct Part {
    std::shared_ptr<UNetBlock> block;
    std::optional<SelfAttention> attention;
    std::shared_ptr<UNetBlock> resample_block;
    std::shared_ptr<Conv2d> resample;
    at::Tensor Forward(at::Tensor x, const at::Tensor& emb) const;
  };

  std::vector<std::int64_t> BuildEncoder();  // the channels of every skip connection
  void BuildDecoder(std::vector<std::int64_t> skip_channels);
  std::int64_t ChannelsAt(std::size_t level) const;
  bool AttendsAt(std::size_t level) const;
  // Each registers what it adds under `path`.
  std::shared_ptr<UNetBlock> AddBlock(const std::string& path, const UNetBlockOptions& options);
  void AddAttention(Part& part, const std::string& path, std::int64_t channels, std::int64_t num_heads);
  void AddResampling(Part& part, const std::string& path, std::int64_t channels, Resample resample);
  UNetBlockOptions BlockOptions(std::int64_t in_channels, std::int64_t out_channels) const;

  AdmUNetOptions options_;
  NoiseEmbedding time_embedding_;
  std::shared_ptr<Linear> time_embed0_, time_embed2_;
  std::shared_ptr<LabelTable> label_emb_;
  std::shared_ptr<Conv2d> conv_in_, conv_out_;
  std::shared_ptr<GroupNorm> norm_out_;
  std::vector<Part> encoder_, decoder_;
  Part middle_;
  std::shared_ptr<UNetBlock> middle_end_;
};

}  // namespace lcsc
