// A whole merged network, ready to be written or loaded.
#pragma once

#include <span>

#include "lcsc/io/safetensors.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {

// theta(a) as named tensors in the dtypes of the user's checkpoints; carried tensors are those of the last checkpoint.
// Of LoRA checkpoints: the whole base model with W_0 + sum_i a_i s B_i A_i in its targets, in its own dtypes.
// Reads the shards range by range: the memory needed is the merged weights and K * 16 MiB, whatever p is.
// coefficients: [K]. Throws ConfigError when their number is not K, InputError when a shard is damaged.
NamedTensors MergeCheckpoints(const Trajectory& trajectory, std::span<const double> coefficients);

}  // namespace lcsc
