// The arithmetic of a merge, apart from where shards come from: rows of deltas in memory -> many candidates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lcsc/store/shard_reader.h"
#include "merge_columns.h"

namespace lcsc {

// Candidates that one pass over the rows serves.
inline constexpr std::size_t kMaxBatch = 16;

// A base and rows of deltas to it. Device: CPU.
struct MergeRows {
  const float* base = nullptr;   // [num_columns]
  const void* deltas = nullptr;  // [num_rows, num_columns] in the storage type
  StorageType storage = StorageType::kFloat32;
  std::int64_t num_rows = 0;  // K - 1
  std::int64_t num_columns = 0;
};

// The shard must outlive the rows.
MergeRows RowsOf(const Shard& shard);

//   out[c][j] = fma(a[c][K-1], d[K-2][j], ... fma(a[c][1], d[0][j], base[j]) ...)
// with the coefficients rounded to float32: the same chain of fused multiply-adds whatever the batch, the threads and
// the instruction set, so that the bits of an element depend on its column and its candidate alone. A coefficient of 0
// is multiplied like any other. Not-a-numbers are that, whatever their payload.
//   coefficients: one [num_rows + 1] vector per candidate, a[c][0] is not read. outs: one [num_columns] per candidate.
// Reads the rows once for up to kMaxBatch candidates. Threads: uses LibTorch's intra-op threads.
// REQUIRES: the lengths agree; no two outs overlap.
void MergeRowsInto(const MergeRows& rows, std::span<const std::span<const double>> coefficients,
                   std::span<const std::span<float>> outs, const MergeInstructions& instructions = BestInstructions());

}  // namespace lcsc
