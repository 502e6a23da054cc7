// What this process sees of the machine's GPUs.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace lcsc {

struct GpuFacts {
  bool is_built = false;  // this program was built with CUDA and NCCL
  int driver = 0;         // CUDA that the driver can do, as CUDA counts: 13000 is 13.0; 0 without a driver
  int runtime = 0;
  int nccl = 0;  // as NCCL counts: 22803 is 2.28.3
  struct Gpu {
    std::string name;
    std::int64_t memory_bytes = 0;
  };
  std::vector<Gpu> gpus;
  std::vector<std::pair<int, int>> strangers;  // pairs of GPUs that cannot read each other's memory
  std::string error;                           // the driver's, when it shows no GPU
};

// Nothing is allocated on a GPU.
GpuFacts DescribeGpus();

}  // namespace lcsc
