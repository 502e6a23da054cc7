// The factors of some LoRA layers, of all K checkpoints, and their products.
#pragma once

#include <span>
#include <vector>

#include "lcsc/store/shard_reader.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {

// Layers [begin, end) of a LoRA trajectory's description.
struct LayerRange {
  std::size_t begin = 0, end = 0;
};

// sum_i a_i s B_i A_i = left right: what stands side by side in `left` is a_i s B_i, and one below the other in `right`
// A_i, of the checkpoints whose coefficient is not 0. Products are combined, never the factors.
struct LoraProduct {
  at::Tensor left;   // float32 [out, n], n = r x the number of those checkpoints
  at::Tensor right;  // float32 [n, in k k]
};

class LoraFactors {
 public:
  // Reads the layers' factors of all checkpoints, in the storage type. Throws InputError.
  LoraFactors(const Trajectory& trajectory, const LayerRange& layers);

  // coefficients: [K]; a_1 = 1 - (a_2 + ... + a_K) is not read. REQUIRES: `layer` is in the range.
  LoraProduct ProductOf(std::size_t layer, std::span<const double> coefficients) const;

 private:
  // One tensor of the chosen checkpoints, float32 [number of them, num_elements].
  at::Tensor RowsOf(const std::string& factor, const std::vector<std::int64_t>& checkpoints) const;

  const Trajectory& trajectory_;
  std::vector<Shard> shards_;  // by range in ascending order
};

// Ranges of layers whose factors of all checkpoints take at most 256 MiB each, or that are one layer.
std::vector<LayerRange> LayerBlocks(const Trajectory& trajectory);

}  // namespace lcsc
