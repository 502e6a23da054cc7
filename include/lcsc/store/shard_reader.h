// Trajectory -> memory: one parameter range of all checkpoints, or one whole checkpoint.
#pragma once

#include <ATen/ATen.h>

#include <memory>

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

// A shard of this range, its memory not yet filled: in large pages where the system has them, since a merge reads many
// rows at once.
Shard MakeShard(const Trajectory& trajectory, ParameterRange range);

// Reads one range after another. The files of the last range stay open for the next.
// Threads: one at a time, any. Device: CPU.
class ShardReader {
 public:
  // The trajectory must outlive the reader.
  explicit ShardReader(const Trajectory& trajectory);
  ~ShardReader();
  ShardReader(const ShardReader&) = delete;
  ShardReader& operator=(const ShardReader&) = delete;

  // Fills the shard's tensors, which are contiguous, with its range. Throws as ReadShard does.
  void Read(Shard& shard, Verify verify = Verify::kWholeRows);

 private:
  class OpenFiles;
  const Trajectory& trajectory_;
  std::unique_ptr<OpenFiles> files_;
};

// Reads the range from the files that hold it, without conversion, on the CPU. Throws InputError (missing, truncated or
// damaged file), InvariantError when the range is not inside the trajectory.
Shard ReadShard(const Trajectory& trajectory, ParameterRange range, Verify verify = Verify::kWholeRows);

// theta_i, i = `index` in [0, K), float32 [p]: base plus the delta as it was rounded to the storage type. With float32
// storage that is the checkpoint itself wherever a weight is within a factor of two of its first value.
at::Tensor ReadCheckpoint(const Trajectory& trajectory, std::int64_t index);

}  // namespace lcsc
