// What one thread does in a merge, once per instruction set.
#pragma once

#include <cstdint>
#include <vector>

namespace lcsc {

// The number of columns that a function below is given is a multiple of this.
inline constexpr std::int64_t kColumnUnit = 64;

// Some columns of all rows, and the candidates that are merged from them.
struct MergeColumns {
  const float* base = nullptr;   // [num_columns]
  const void* deltas = nullptr;  // the first element of the first row
  std::int64_t row_stride = 0;   // elements from one row to the next
  std::int64_t num_rows = 0;
  std::int64_t num_columns = 0;
  bool more_behind = false;             // the same rows go on behind these columns: they are merged next
  const float* coefficients = nullptr;  // [num_rows, num_candidates]
  std::int64_t num_candidates = 0;      // 1 to MergeInstructions::max_candidates
  float* const* outs = nullptr;         // [num_candidates], each [num_columns]
};

using MergeColumnsFunction = void (*)(const MergeColumns& columns);

struct MergeInstructions {
  const char* name = "";
  std::int64_t max_candidates = 0;  // as many as the registers hold
  MergeColumnsFunction float32 = nullptr, float16 = nullptr, bfloat16 = nullptr;
};

extern const MergeInstructions kGenericInstructions;
extern const MergeInstructions kAvx2Instructions;    // x86-64-v3: AVX2, FMA, F16C
extern const MergeInstructions kAvx512Instructions;  // x86-64-v4

// What this machine can run, the best first.
std::vector<MergeInstructions> AvailableInstructions();
const MergeInstructions& BestInstructions();

}  // namespace lcsc
