// What the UNets share: a resolution that is halved from level to level, and labels.
#pragma once

#include <string>
#include <vector>

#include "lcsc/base/error.h"
#include "lcsc/model/layers.h"
#include "lcsc/model/unet_block.h"

namespace lcsc {

// Channels of the time's embedding for each of the network's first, in DDPM's and OpenAI's code.
inline constexpr std::int64_t kEmbMultiplier = 4;

// Registers children under names such as "16x16_block0".
class LevelNames {
 public:
  LevelNames(torch::nn::Module& parent, std::int64_t resolution) : parent_(parent), resolution_(resolution) {}
  template <typename Layer, typename Options>
  std::shared_ptr<Layer> Add(const std::string& name, const Options& options) const {
    return parent_.register_module(fmt::format("{0}x{0}_{1}", resolution_, name), std::make_shared<Layer>(options));
  }

 private:
  torch::nn::Module& parent_;
  std::int64_t resolution_;
};

// How a code base calls its network and the two arguments that give it its levels.
struct LevelArguments {
  const char *network, *resolution, *multipliers;
};
// Throws ConfigError unless the resolution can be halved between `levels` levels.
void CheckLevels(const LevelArguments& names, std::int64_t resolution, std::size_t levels);

// Registers the blocks with which EDM's decoders begin a level: two of the options given at the coarsest resolution, of
// which the first may attend, and one that doubles the resolution at all others.
struct DecoderEntry {
  UNetBlockOptions block;
  bool is_coarsest = false;
  std::int64_t heads = 0;  // of the block that attends; 0: not even that does
};
std::vector<std::shared_ptr<UNetBlock>> AddDecoderEntry(const LevelNames& names, const DecoderEntry& entry);

// One-hot labels, all-zero ones where none are given; some of them made zero in training.
struct LabelInput {
  std::int64_t label_dim = 0;
  double dropout = 0;  // 0 outside training
};
at::Tensor LabelsOrZeros(const at::Tensor& labels, const LabelInput& input, const at::TensorOptions& type);

}  // namespace lcsc
