// Trajectory -> memory: one parameter range of all checkpoints, or one whole checkpoint.
#pragma once

#include <ATen/ATen.h>

#include "lcsc/store/trajectory.h"

namespace lcsc {

struct Shard {
  ParameterRange range;
  StorageType storage = StorageType::kFloat32;
  at::Tensor base;    // float32 [range.size()]: theta_1
  at::Tensor deltas;  // [K - 1, range.size()] in the storage type: theta_i - theta_1, i >= 2
};

enum class Verify {
  kNo,
  kWholeRows,  // compare the digests of the rows that are read from one end to the other
};

// Reads the range from the files that hold it, without conversion, on the CPU. Throws InputError (missing, truncated or
// damaged file), InvariantError when the range is not inside the trajectory.
Shard ReadShard(const Trajectory& trajectory, ParameterRange range, Verify verify = Verify::kWholeRows);

// theta_i, i = `index` in [0, K), float32 [p]: base plus the delta as it was rounded to the storage type. With float32
// storage that is the checkpoint itself wherever a weight is within a factor of two of its first value.
at::Tensor ReadCheckpoint(const Trajectory& trajectory, std::int64_t index);

}  // namespace lcsc
