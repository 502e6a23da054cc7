// SongUNet: the DDPM++ and NCSN++ networks (Song et al. 2021) as EDM writes them (Karras et al. 2022, App. F.1).
#pragma once

#include <memory>
#include <vector>

#include "lcsc/model/bare_network.h"
#include "lcsc/model/unet_block.h"

namespace lcsc {

enum class EncoderType { kStandard, kSkip, kResidual };
enum class DecoderType { kStandard, kSkip };

// EDM's constructor arguments, by their names, with its defaults.
struct SongUNetOptions {
  std::int64_t img_resolution = 0;
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  std::int64_t label_dim = 0;    // classes; 0 is unconditional
  std::int64_t augment_dim = 0;  // the augmentation inputs exist, and are zero
  std::int64_t model_channels = 128;
  std::vector<std::int64_t> channel_mult = {1, 2, 2, 2};  // per resolution, finest first
  std::int64_t channel_mult_emb = 4;
  std::int64_t num_blocks = 4;
  std::vector<std::int64_t> attn_resolutions = {16};
  double dropout = 0.10;
  double label_dropout = 0;
  EmbeddingType embedding_type = EmbeddingType::kPositional;
  std::int64_t channel_mult_noise = 1;
  EncoderType encoder_type = EncoderType::kStandard;
  DecoderType decoder_type = DecoderType::kStandard;
  std::vector<double> resample_filter = {1, 1};
};

class SongUNet : public BareNetwork {
 public:
  // Throws ConfigError when sizes do not fit together.
  explicit SongUNet(const SongUNetOptions& options);
  // time: c_noise. No labels are all-zero labels.
  at::Tensor Forward(const at::Tensor& x, const at::Tensor& time, const at::Tensor& labels) const override;

 private:
  // Without `conv`, a level begins with `down`; the aux layers are those of the encoder type.
  struct EncoderLevel {
    std::shared_ptr<Conv2d> conv;
    std::shared_ptr<UNetBlock> down;
    std::shared_ptr<Conv2d> aux_down, aux_skip, aux_residual;
    std::vector<std::shared_ptr<UNetBlock>> blocks;
  };
  // `in` (coarsest level) or `up`, then blocks that each take one skip connection.
  struct DecoderLevel {
    std::vector<std::shared_ptr<UNetBlock>> entry;
    std::vector<std::shared_ptr<UNetBlock>> blocks;
    std::shared_ptr<Conv2d> aux_up, aux_conv;
    std::shared_ptr<GroupNorm> aux_norm;
  };

  // The channels of every skip connection, in the encoder's order.
  std::vector<std::int64_t> BuildEncoder(torch::nn::Module& enc);
  void BuildDecoder(torch::nn::Module& dec, std::vector<std::int64_t> skip_channels);
  UNetBlockOptions BlockOptions(std::int64_t in_channels, std::int64_t out_channels) const;
  std::int64_t Resolution(std::size_t level) const { return options_.img_resolution >> level; }
  bool AttendsAt(std::int64_t resolution) const;

  at::Tensor Embed(const at::Tensor& time, const at::Tensor& labels) const;
  std::vector<at::Tensor> Encode(at::Tensor x, const at::Tensor& emb) const;
  at::Tensor Decode(std::vector<at::Tensor> skips, const at::Tensor& emb) const;

  SongUNetOptions options_;
  std::shared_ptr<NoiseEmbedding> map_noise_;
  std::shared_ptr<Linear> map_label_, map_augment_, map_layer0_, map_layer1_;
  std::vector<EncoderLevel> encoder_;  // finest first
  std::vector<DecoderLevel> decoder_;  // coarsest first
};

}  // namespace lcsc
