#include "unet_levels.h"

namespace lcsc {

void CheckLevels(const LevelArguments& names, std::int64_t resolution, std::size_t levels) {
  const std::int64_t divisor = levels > 0 && levels < 32 ? std::int64_t{1} << (levels - 1) : 0;
  if (divisor != 0 && resolution >= divisor && resolution % divisor == 0) return;
  throw ConfigError(
      "{}: {} {} with {} entries in {}; expected 1 to 31 levels, and a resolution that can be halved between them",
      names.network, names.resolution, resolution, levels, names.multipliers);
}

std::vector<std::shared_ptr<UNetBlock>> AddDecoderEntry(const LevelNames& names, const DecoderEntry& entry) {
  UNetBlockOptions block = entry.block;
  if (!entry.is_coarsest) {
    block.resample = Resample::kUp;
    return {names.Add<UNetBlock>("up", block)};
  }
  std::vector<std::shared_ptr<UNetBlock>> blocks;
  block.heads = entry.heads;
  blocks.push_back(names.Add<UNetBlock>("in0", block));
  block.heads = 0;
  blocks.push_back(names.Add<UNetBlock>("in1", block));
  return blocks;
}

at::Tensor LabelsOrZeros(const at::Tensor& labels, const LabelInput& input, const at::TensorOptions& type) {
  if (!labels.defined()) return at::zeros({1, input.label_dim}, type);
  if (input.dropout == 0) return labels;
  return labels * (at::rand({labels.size(0), 1}, labels.options()) >= input.dropout);
}

}  // namespace lcsc
