// In builds without CUDA.
#include "lcsc/comm/gpu_facts.h"

namespace lcsc {

GpuFacts DescribeGpus() { return {}; }

}  // namespace lcsc
