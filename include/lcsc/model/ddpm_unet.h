// The UNet of DDPM (Ho et al. 2020, App. B) with the tensor names of ddim's PyTorch code (Song et al. 2021).
#pragma once

#include <memory>
#include <vector>

#include "lcsc/model/bare_network.h"
#include "lcsc/model/unet_block.h"

namespace lcsc {

// The entries of ddim's model configuration, by their names.
struct DdpmUNetOptions {
  std::int64_t image_size = 0;
  std::int64_t in_channels = 3;
  std::int64_t out_ch = 3;
  std::int64_t ch = 0;
  std::vector<std::int64_t> ch_mult;  // per resolution, finest first
  std::int64_t num_res_blocks = 0;
  std::vector<std::int64_t> attn_resolutions;
  double dropout = 0;
  bool resamp_with_conv = true;  // between levels: convolutions, or repeated and averaged pixels
};

class DdpmUNet : public BareNetwork {
 public:
  // Throws ConfigError when sizes do not fit together.
  explicit DdpmUNet(const DdpmUNetOptions& options);
  // time: the step's index 0 .. N - 1, whole or not. There are no labels.
  at::Tensor Forward(const at::Tensor& x, const at::Tensor& time, const at::Tensor& labels) const override;

 private:
  struct Level {
    std::vector<std::shared_ptr<UNetBlock>> blocks;
    std::vector<SelfAttention> attention;  // none, or one behind each block
    std::shared_ptr<Conv2d> resample;      // behind the blocks; none at the last level
  };

  std::vector<std::int64_t> BuildEncoder();  // the channels of every skip connection
  void BuildDecoder(std::vector<std::int64_t> skip_channels);
  // Registers under names like "down.1.block.0".
  void AddBlock(Level& level, const std::string& path, std::int64_t in_channels, std::size_t depth);
  void AddResampling(Level& level, const std::string& path, std::size_t depth, Resample resample);
  SelfAttention MakeAttention(const std::string& path, std::int64_t channels);
  UNetBlockOptions BlockOptions(std::int64_t in_channels, std::int64_t out_channels) const;
  std::int64_t ChannelsAt(std::size_t depth) const { return options_.ch * options_.ch_mult[depth]; }

  DdpmUNetOptions options_;
  NoiseEmbedding time_embedding_;
  std::shared_ptr<Linear> dense0_, dense1_;
  std::shared_ptr<Conv2d> conv_in_, conv_out_;
  std::shared_ptr<GroupNorm> norm_out_;
  std::shared_ptr<UNetBlock> middle1_, middle2_;
  std::optional<SelfAttention> middle_attention_;
  std::vector<Level> encoder_;  // finest first
  std::vector<Level> decoder_;  // coarsest first
};

}  // namespace lcsc
