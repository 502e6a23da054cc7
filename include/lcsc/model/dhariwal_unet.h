// DhariwalUNet: the ADM network (Dhariwal & Nichol 2021) as EDM writes it (Karras et al. 2022, App. F.1).
#pragma once

#include <memory>
#include <vector>

#include "lcsc/model/bare_network.h"
#include "lcsc/model/unet_block.h"

namespace lcsc {

// EDM's constructor arguments, by their names, with its defaults.
struct DhariwalUNetOptions {
  std::int64_t img_resolution = 0;
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  std::int64_t label_dim = 0;    // classes; 0 is unconditional
  std::int64_t augment_dim = 0;  // the augmentation inputs exist, and are zero
  std::int64_t model_channels = 192;
  std::vector<std::int64_t> channel_mult = {1, 2, 3, 4};  // per resolution, finest first
  std::int64_t channel_mult_emb = 4;
  std::int64_t num_blocks = 3;
  std::vector<std::int64_t> attn_resolutions = {32, 16, 8};
  double dropout = 0.10;
  double label_dropout = 0;
};

class DhariwalUNet : public BareNetwork {
 public:
  // Throws ConfigError when sizes do not fit together.
  explicit DhariwalUNet(const DhariwalUNetOptions& options);
  // time: c_noise. No labels are all-zero labels.
  at::Tensor Forward(const at::Tensor& x, const at::Tensor& time, const at::Tensor& labels) const override;

 private:
  using Blocks = std::vector<std::shared_ptr<UNetBlock>>;
  // A resampling or entry part, which takes no skip connections, and blocks, of which the decoder's take one each.
  struct Level {
    Blocks entry, blocks;
  };

  std::vector<std::int64_t> BuildEncoder(torch::nn::Module& enc);  // the channels of every skip connection
  void BuildDecoder(torch::nn::Module& dec, std::vector<std::int64_t> skip_channels);
  UNetBlockOptions BlockOptions(std::int64_t in_channels, std::int64_t out_channels) const;
  std::int64_t HeadsAt(std::int64_t resolution, std::int64_t channels) const;
  at::Tensor Embed(const at::Tensor& time, const at::Tensor& labels) const;

  DhariwalUNetOptions options_;
  NoiseEmbedding map_noise_;
  std::shared_ptr<Linear> map_label_, map_layer0_, map_layer1_;
  std::shared_ptr<Conv2d> conv_, out_conv_;
  std::shared_ptr<GroupNorm> out_norm_;
  std::vector<Level> encoder_;  // finest first
  std::vector<Level> decoder_;  // coarsest first
};

}  // namespace lcsc
