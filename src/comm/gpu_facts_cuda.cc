#include <cuda_runtime.h>
#include <nccl.h>

#include "lcsc/comm/gpu_facts.h"

namespace lcsc {
namespace {

void FindStrangers(int num_gpus, GpuFacts& facts) {
  for (int a = 0; a < num_gpus; ++a) {
    for (int b = a + 1; b < num_gpus; ++b) {
      int there = 0, back = 0;
      const bool answers =
          cudaDeviceCanAccessPeer(&there, a, b) == cudaSuccess && cudaDeviceCanAccessPeer(&back, b, a) == cudaSuccess;
      if (!answers || there == 0 || back == 0) facts.strangers.emplace_back(a, b);
    }
  }
}

}  // namespace

GpuFacts DescribeGpus() {
  GpuFacts facts;
  facts.is_built = true;
  cudaDriverGetVersion(&facts.driver);
  cudaRuntimeGetVersion(&facts.runtime);
  ncclGetVersion(&facts.nccl);
  int num_gpus = 0;
  if (const cudaError_t status = cudaGetDeviceCount(&num_gpus); status != cudaSuccess) {
    facts.error = cudaGetErrorString(status);
    return facts;
  }
  for (int device = 0; device < num_gpus; ++device) {
    cudaDeviceProp properties{};
    if (const cudaError_t status = cudaGetDeviceProperties(&properties, device); status != cudaSuccess) {
      facts.error = cudaGetErrorString(status);
      return facts;
    }
    facts.gpus.push_back({properties.name, static_cast<std::int64_t>(properties.totalGlobalMem)});
  }
  FindStrangers(num_gpus, facts);
  return facts;
}

}  // namespace lcsc
