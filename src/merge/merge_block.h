// What a merge does with a few columns at a time, once per instruction set.
#pragma once

#include <cstdint>

namespace lcsc {

// Columns that a block function handles at once; their rows stay in the first two cache levels.
inline constexpr std::int64_t kBlockColumns = 128;

// Blocks of kBlockColumns columns, one behind the other.
struct MergeBlocks {
  const float* base = nullptr;
  const void* deltas = nullptr;
  std::int64_t row_stride = 0;  // elements
  std::int64_t num_rows = 0;
  std::int64_t num_blocks = 0;
  const float* coefficients = nullptr;  // [num_rows, num_candidates]
  std::int64_t num_candidates = 0;      // up to kMaxBatch
  float* const* outs = nullptr;         // [num_candidates]
};

using MergeBlocksFunction = void (*)(const MergeBlocks& blocks);

// One function per storage type.
struct MergeInstructions {
  MergeBlocksFunction float32 = nullptr, float16 = nullptr, bfloat16 = nullptr;
};

extern const MergeInstructions kGenericInstructions;
extern const MergeInstructions kAvx2Instructions;    // with FMA and F16C: x86-64-v3
extern const MergeInstructions kAvx512Instructions;  // x86-64-v4

}  // namespace lcsc
