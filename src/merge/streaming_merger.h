// Merges a parameter range that does not fit into memory, from the trajectory's shard files.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <future>
#include <mutex>
#include <span>
#include <vector>

#include "lcsc/store/shard_reader.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {

// Two blocks of columns take turns: a thread of its own reads one while the other is merged. The bits are those of the
// resident Merger. Threads: any; calls take turns.
class StreamingMerger {
 public:
  // block_columns: parameters of a block, at least 1; two blocks of all checkpoints are held.
  StreamingMerger(const Trajectory& trajectory, ParameterRange range, std::int64_t block_columns);

  // coefficients: [K] each. outs: [range.size()] each. Reads the range once for up to 16 candidates.
  // Throws InputError when a file cannot be read.
  void MergeBatch(std::span<const std::span<const double>> coefficients, std::span<const std::span<float>> outs);
  // WeightMerger::Project. gradient: [range.size()].
  std::vector<double> Project(std::span<const double> gradient);

 private:
  // Memory of block_columns columns, as a shard of the columns that are in it now.
  struct Buffer {
    at::Tensor base, deltas;  // flat
    Shard shard;
  };

  // Calls `use` for each block, while the next one is read.
  void ForEachBlock(const std::function<void(const Shard& block)>& use);
  void MergePass(std::span<const std::span<const double>> coefficients, std::span<const std::span<float>> outs);
  std::future<void> StartReading(std::int64_t begin);
  Buffer& BufferOf(std::int64_t begin);

  Trajectory trajectory_;
  ParameterRange range_;
  std::int64_t block_columns_;
  ShardReader reader_;
  std::array<Buffer, 2> buffers_;
  std::mutex in_turn_;  // a gradient is projected while the next candidates are merged
};

}  // namespace lcsc
