// Where a merge on a GPU keeps its rows.
#pragma once

#include <cstdint>

namespace lcsc {

// What is merged. Columns are counted as they lie on the GPU, in units of 64.
struct DeviceMergeNeed {
  std::int64_t num_rows = 0;  // K - 1
  std::int64_t num_columns = 0;
  std::int64_t delta_bytes = 4;  // of one delta
};

struct DeviceMergePlan {
  bool is_resident = true;         // all rows lie on the GPU; else in pinned host memory, streamed through two blocks
  std::int64_t block_columns = 0;  // merged at once, a multiple of 64
  std::int64_t device_bytes = 0;   // rows, outs and coefficients on the GPU
  std::int64_t pinned_bytes = 0;   // host memory that is pinned: the rows when they are streamed
};

// Resident when rows and two blocks of 16 outs fit; else the largest blocks of which two fit, at most 4 Mi columns.
// Throws ConfigError, naming the least, when not even two blocks of 4096 columns fit.
DeviceMergePlan PlanDeviceMerge(const DeviceMergeNeed& need, std::int64_t available_bytes);

}  // namespace lcsc
