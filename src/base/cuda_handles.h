// CUDA's errors as ours, and owners of what CUDA hands out. Only for builds with CUDA.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>

#include "lcsc/base/error.h"
#include "lcsc/base/process.h"

namespace lcsc {

// Throws DeviceError with the expression, CUDA's text, the GPU's number and the host.
inline void CheckCuda(cudaError_t status, const char* expression) {
  if (status == cudaSuccess) return;
  int device = -1;
  if (cudaGetDevice(&device) != cudaSuccess) device = -1;
  throw DeviceError("CUDA failed on GPU {} of host {}: {}: {} ({})", device, HostName(), expression,
                    cudaGetErrorString(status), cudaGetErrorName(status));
}

struct DeviceMemoryDeleter {
  void operator()(void* memory) const { cudaFree(memory); }
};
struct PinnedMemoryDeleter {
  void operator()(void* memory) const { cudaFreeHost(memory); }
};
struct PinDeleter {
  void operator()(void* memory) const { cudaHostUnregister(memory); }
};
struct StreamDeleter {
  void operator()(cudaStream_t stream) const { cudaStreamDestroy(stream); }
};
struct EventDeleter {
  void operator()(cudaEvent_t event) const { cudaEventDestroy(event); }
};

using DeviceMemory = std::unique_ptr<void, DeviceMemoryDeleter>;
using PinnedMemory = std::unique_ptr<void, PinnedMemoryDeleter>;
// Pageable memory of somebody else, pinned while this lives.
using Pin = std::unique_ptr<void, PinDeleter>;
using Stream = std::unique_ptr<CUstream_st, StreamDeleter>;
using Event = std::unique_ptr<CUevent_st, EventDeleter>;

// All of these: on the current GPU. bytes >= 0; nothing is allocated or pinned for 0.
inline DeviceMemory AllocateOnDevice(std::size_t bytes) {
  void* memory = nullptr;
  if (bytes > 0) CheckCuda(cudaMalloc(&memory, bytes), "cudaMalloc");
  return DeviceMemory(memory);
}

inline PinnedMemory AllocatePinned(std::size_t bytes) {
  void* memory = nullptr;
  if (bytes > 0) CheckCuda(cudaMallocHost(&memory, bytes), "cudaMallocHost");
  return PinnedMemory(memory);
}

inline Pin PinMemory(void* memory, std::size_t bytes) {
  if (bytes == 0) return {};
  CheckCuda(cudaHostRegister(memory, bytes, cudaHostRegisterDefault), "cudaHostRegister");
  return Pin(memory);
}

inline Stream MakeStream() {
  cudaStream_t stream = nullptr;
  CheckCuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return Stream(stream);
}

inline Event MakeEvent() {
  cudaEvent_t event = nullptr;
  CheckCuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  return Event(event);
}

}  // namespace lcsc

#define LCSC_CUDA_CHECK(call) ::lcsc::CheckCuda((call), #call)
