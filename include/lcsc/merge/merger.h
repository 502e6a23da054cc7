// Coefficients x shard -> weights, on the CPU.
#pragma once

#include <cstdint>
#include <span>

#include "lcsc/store/shard_reader.h"

namespace lcsc {

// Holds one parameter range of all K checkpoints and merges it:
//   out = theta_1 + sum_{i>=2} a_i (theta_i - theta_1)          (LCSC paper, Alg. 1)
// as one chain of float32 fused multiply-adds in the order of the checkpoints, with the coefficients rounded to
// float32. The bits of an element are the same whatever the range, the batch, the number of threads and the kind of
// processor. A coefficient of 0 is multiplied like any other: 0 times infinity is not a number.
class Merger {
 public:
  explicit Merger(Shard shard);

  std::int64_t num_parameters() const { return shard_.range.size(); }
  std::int64_t num_checkpoints() const { return shard_.deltas.size(0) + 1; }
  // coefficients: [K]; a_1 is implied by the others and not read. out: float32 [num_parameters()].
  // Throws InvariantError when a length differs. Threads: uses LibTorch's intra-op threads.
  void Merge(std::span<const double> coefficients, std::span<float> out) const;
  // Several candidates; the shard is read once for up to 16 of them. One coefficients [K] and one out per candidate,
  // no two outs overlapping. Throws InvariantError when a number or a length differs.
  void MergeBatch(std::span<const std::span<const double>> coefficients, std::span<const std::span<float>> outs) const;
  const Shard& shard() const { return shard_; }

 private:
  Shard shard_;
};

}  // namespace lcsc
