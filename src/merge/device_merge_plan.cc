#include "device_merge_plan.h"

#include <algorithm>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

constexpr std::int64_t kUnit = 64, kMostCandidates = 16, kNumBlocks = 2;
constexpr std::int64_t kMinBlockColumns = 4096, kMaxBlockColumns = std::int64_t{1} << 22;

std::int64_t Padded(std::int64_t columns) { return (columns + kUnit - 1) / kUnit * kUnit; }

}  // namespace

DeviceMergePlan PlanDeviceMerge(const DeviceMergeNeed& need, std::int64_t available_bytes) {
  const std::int64_t columns = Padded(need.num_columns), column_bytes = 4 + need.num_rows * need.delta_bytes;
  const std::int64_t out_bytes = 4 * kMostCandidates, coefficient_bytes = 4 * kMostCandidates * need.num_rows;
  const std::int64_t resident_block = std::min(columns, kMaxBlockColumns);
  const std::int64_t resident_bytes =
      columns * column_bytes + kNumBlocks * resident_block * out_bytes + coefficient_bytes;
  if (resident_bytes <= available_bytes) return {true, resident_block, resident_bytes, 0};
  const std::int64_t block_bytes = kNumBlocks * (column_bytes + out_bytes);
  const std::int64_t fitting = std::max<std::int64_t>(0, available_bytes - coefficient_bytes) / block_bytes;
  const std::int64_t block = std::min(fitting / kUnit * kUnit, resident_block);
  const std::int64_t least = std::min(columns, kMinBlockColumns);
  if (block < least) {
    throw ConfigError(
        "run.merge = cuda: merging {} checkpoints on the GPU needs at least {} bytes of its memory even when they are "
        "streamed, found {} "
        "free; free some, or merge on the CPU (run.merge = cpu)",
        need.num_rows + 1, std::min(resident_bytes, least * block_bytes + coefficient_bytes), available_bytes);
  }
  return {false, block, block * block_bytes + coefficient_bytes, need.num_columns * column_bytes};
}

}  // namespace lcsc
