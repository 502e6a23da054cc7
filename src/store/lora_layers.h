// LoRA checkpoints as the packer sees them: every pair of factors belongs to one tensor of the base model.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint.h"
#include "lcsc/io/tensor_file.h"
#include "lcsc/store/lora.h"

namespace lcsc {

struct LoraSource {
  std::optional<std::filesystem::path> base_model;
  std::string base_key;         // the dict of tensors in a nested torch.save file
  std::optional<double> alpha;  // of every pair; default: the checkpoint's own, see docs/lora.md
};

// Pairs the factors of one checkpoint and finds the base model's tensor of each. Throws InputError that names the file
// and the tensor: a name of no known dialect, a pair that is not whole, a module that the base model lacks or has more
// than once, two pairs for one tensor, shapes or a rank that do not fit, an alpha that is missing or unsound.
std::vector<LoraLayer> MatchLoraLayers(const TensorFile& checkpoint, const TensorFile& base_model,
                                       const std::optional<double>& alpha);

// The description that all checkpoints share; nullopt when they hold full weights. `packed` is the trajectory that they
// are to be appended to: its base model is the default. Throws InputError when a checkpoint's ranks, targets or scales
// differ from the first one's or the trajectory's, or no base model is given; ConfigError when one is and there are no
// factors.
std::optional<LoraDescription> DescribeLora(const LoraSource& source, const Trajectory& packed,
                                            const std::vector<Checkpoint>& checkpoints);

// Factors are merged, the rest (alphas) is carried.
TensorSplit SplitLoraTensors(const std::vector<TensorEntry>& entries, const LoraDescription& lora);

}  // namespace lcsc
