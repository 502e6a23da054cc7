// Merges a shard on a GPU.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "device_merge_plan.h"
#include "lcsc/store/shard_reader.h"

namespace lcsc {

struct DeviceMergerOptions {
  int device = 0;  // CUDA's number of the GPU
  // Bytes of the GPU's memory that may be taken; nothing: nine tenths of what is free.
  std::optional<std::int64_t> budget_bytes = {};
};

// Holds the shard on the GPU when it fits, else in host memory that is pinned meanwhile. Its bits are those of Merger.
class DeviceMerger {
 public:
  virtual ~DeviceMerger() = default;
  virtual const DeviceMergePlan& plan() const = 0;
  // coefficients: [K] each, a_1 not read. outs: one per candidate in host memory, each [range.size()], no two
  // overlapping. The rows are read once for up to 16 candidates; the outs come back over the bus while the next columns
  // are merged. Returns when the outs are complete. Throws InvariantError when a length differs, DeviceError.
  // Threads: any, one call at a time.
  //
  // Floor: for n columns and C candidates the larger of the kernel's (merge_cuda.h), of 4 C n bytes over the bus, and,
  // streamed, of n ((K - 1) b + 4) bytes over the bus the other way.
  virtual void MergeBatch(std::span<const std::span<const double>> coefficients,
                          std::span<const std::span<float>> outs) = 0;
};

// Whether this program was built with CUDA and finds a GPU.
bool CanMergeOnDevice();

// Throws ConfigError when there is no such GPU, the program was built without CUDA, or the memory is too small even for
// streaming; DeviceError when CUDA fails.
std::unique_ptr<DeviceMerger> MakeDeviceMerger(Shard shard, const DeviceMergerOptions& options);

}  // namespace lcsc
