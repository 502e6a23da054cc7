// Coefficients -> the flat vector of a network's merged tensors, whatever the trajectory holds: full weights or LoRA
// factors. The work is shared out between the ranks of a group.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "lcsc/store/trajectory.h"

namespace lcsc {

// One rank of a group of ranks that merge together.
struct GroupPlace {
  int group_rank = 0;
  int group_size = 1;
};

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
  // shard is read once for up to 16 candidates. LoRA: the batch changes no bit, the number of ranks less than 1e-6
  // relative. Threads: one call at a time; uses LibTorch's intra-op threads. Collective: no.
  virtual void MergeBatch(std::span<const std::span<const double>> coefficients,
                          std::span<const std::span<float>> wholes) const = 0;
  // A batch of one.
  void Merge(std::span<const double> coefficients, std::span<float> whole) const {
    MergeBatch({&coefficients, 1}, {&whole, 1});
  }

 protected:
  TensorTable table_;
  std::vector<ParameterRange> parts_;
};

// Reads this rank's part of the trajectory (and of the base model). Throws InputError.
std::unique_ptr<WeightMerger> MakeWeightMerger(const Trajectory& trajectory, const GroupPlace& place);

}  // namespace lcsc
