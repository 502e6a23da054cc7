// Coefficients x shard -> weights, on the CPU.
#pragma once

#include <cstdint>
#include <span>

#include "lcsc/store/shard_reader.h"

namespace lcsc {

// Holds one parameter range of all K checkpoints and merges it:
//   out = theta_1 + sum_{i>=2} a_i (theta_i - theta_1)          (LCSC paper, Alg. 1)
// in one blocked pass over the shard, float32 accumulation in the order of the checkpoints, so that the result of an
// element does not depend on how the parameters were split into ranges.
class Merger {
 public:
  explicit Merger(Shard shard);

  std::int64_t num_parameters() const { return shard_.range.end - shard_.range.begin; }
  std::int64_t num_checkpoints() const { return shard_.deltas.size(0) + 1; }
  // coefficients: [K]; a_1 is implied by the others and not read. out: float32 [num_parameters()].
  // Throws InvariantError when a length differs. Threads: uses LibTorch's intra-op threads.
  void Merge(std::span<const double> coefficients, std::span<float> out) const;

 private:
  Shard shard_;
};

}  // namespace lcsc
