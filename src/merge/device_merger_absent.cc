// In builds without CUDA.
#include "device_merger.h"
#include "lcsc/base/error.h"

namespace lcsc {

bool CanMergeOnDevice() { return false; }

std::unique_ptr<DeviceMerger> MakeDeviceMerger(Shard, const DeviceMergerOptions&) {
  throw ConfigError(
      "run.merge = cuda: this lcsc was built without CUDA; merge on the CPU (run.merge = cpu), or build the preset "
      "cuda");
}

}  // namespace lcsc
