// In builds without CUDA.
#include "device_merger.h"
#include "lcsc/base/error.h"

namespace lcsc {

bool CanMergeOnDevice() { return false; }

std::unique_ptr<DeviceMerger> MakeDeviceMerger(Shard, const DeviceMergerOptions&) {
  throw ConfigError("merging on a GPU: this lcsc was built without CUDA; merge on the CPU, or build the preset cuda");
}

}  // namespace lcsc
