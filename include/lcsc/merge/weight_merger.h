// Coefficients -> the flat vector of a network's merged tensors, whatever the trajectory holds: full weights or LoRA
// factors. The work is shared out between the ranks of a group.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "lcsc/store/trajectory.h"

namespace lcsc {

// One rank of a group of ranks that merge together.
struct GroupPlace {
  int group_rank = 0;
  int group_size = 1;
};

struct MergeOptions {
  // Bytes of memory for this rank's part of the trajectory. Full weights that need more are streamed: every merge reads
  // them from the shard files, block by block, while it merges the block before. Nothing: all of it stays in memory.
  std::optional<std::int64_t> budget_bytes;
  // CUDA's number of the GPU that merges full weights which stay in memory: on the GPU when they fit there, else in
  // pinned host memory. Nothing: the CPU merges. LoRA factors and what is streamed from files: always the CPU.
  std::optional<int> cuda_device = {};
};

// What a merger needs, for a plan of a rank's memory.
struct MergeMemory {
  bool is_streamed = false;
  std::int64_t held_bytes = 0;      // by the merger from one merge to the next: the shard, or two blocks of it
  std::int64_t scratch_bytes = 0;   // besides that during a merge, about; LoRA: products of the largest layer
  std::int64_t streamed_bytes = 0;  // that each pass for up to 16 candidates reads from the files; 0 when not streamed
};

// What MakeWeightMerger would need; reads no file. Throws ConfigError when the budget is too small: for LoRA factors,
// which are not streamed, naming the group size whose ranks' parts fit; for full weights when not even two blocks of
// 4096 parameters fit.
MergeMemory MergeMemoryOf(const Trajectory& trajectory, const GroupPlace& place, const MergeOptions& options);

class WeightMerger {
 public:
  virtual ~WeightMerger() = default;

  // The tensors that the flat vector consists of.
  const TensorTable& table() const { return table_; }
  // What each rank fills: adjacent ranges of the vector, one per rank, some of them empty when ranks are many.
  const std::vector<ParameterRange>& parts() const { return parts_; }
  // Reads the network's other tensors: the last checkpoint's, or the LoRA's base model's. Throws InputError.
  virtual NamedTensors ReadCarried() const = 0;
  // Fills this rank's part of several candidates at once, each float32 [table().num_elements()], no two overlapping.
  // coefficients: [K] each; a_1 is implied by the others and not read. Throws InvariantError when a number or a length
  // differs. Full weights: the bits of a candidate do not depend on the batch, the number of ranks or threads, and the
  // shard is read once for up to 16 candidates, from memory or from its files. LoRA: the batch changes no bit, the
  // number of ranks less than 1e-6 relative. Throws InputError when a shard file cannot be read any more; then the outs
  // hold anything. Threads: one call at a time; uses LibTorch's intra-op threads, and one more to read files.
  // Collective: no.
  virtual void MergeBatch(std::span<const std::span<const double>> coefficients,
                          std::span<const std::span<float>> wholes) const = 0;
  // Derivatives with respect to the weights -> this rank's part of those with respect to the coefficients:
  //   dF/da_i = sum_j dF/dtheta_j dtheta_j/da_i, i >= 2, the sum over this rank's part, and 0 for the implied a_1.
  // weight_gradient: [table().num_elements()], of which only this rank's part is read. Returns [K]; the sum over the
  // ranks is the derivative. One pass over the shard. Throws and collective: as MergeBatch; ConfigError on a GPU.
  // Threads: one call at a time, but MergeBatch may run beside it.
  virtual std::vector<double> Project(std::span<const double> weight_gradient) const = 0;
  // A batch of one.
  void Merge(std::span<const double> coefficients, std::span<float> whole) const {
    MergeBatch({&coefficients, 1}, {&whole, 1});
  }

 protected:
  TensorTable table_;
  std::vector<ParameterRange> parts_;
};

// Reads this rank's part of the trajectory (and of the base model), unless it is to be streamed. Whole rows of shard
// files are compared with their digests whenever they are read at once: of a part in memory those that lie inside it,
// of a streamed part only rows that a block spans; `lcsc inspect --verify` compares them all. Throws InputError, and
// ConfigError as MergeMemoryOf does, or when options.cuda_device is none that this program can use.
std::unique_ptr<WeightMerger> MakeWeightMerger(const Trajectory& trajectory, const GroupPlace& place,
                                               const MergeOptions& options = {});

}  // namespace lcsc
