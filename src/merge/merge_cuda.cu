#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>

#include "merge_cuda.h"

namespace lcsc {
namespace {

constexpr int kThreads = 128;
constexpr int kVector = 4;  // columns of a thread
// Rows whose loads are on their way together: enough bytes in flight to fill the memory's latency.
constexpr int kRowsInFlight = 8;
// Rows whose coefficients fit into the shared memory that every GPU has: 32 KiB for 16 candidates. Sums of more rows
// wait in the outs, which changes no bit.
constexpr std::int64_t kRowsOfLaunch = 512;

// How four deltas lie in memory, and their values, which are exact in float32.
struct Float32 {
  using Raw = float4;
  static __device__ float4 Widened(const Raw& raw) { return raw; }
};

struct Float16 {
  using Raw = uint2;
  static __device__ float4 Widened(const Raw& raw) {
    const float2 low = __half22float2(*reinterpret_cast<const __half2*>(&raw.x));
    const float2 high = __half22float2(*reinterpret_cast<const __half2*>(&raw.y));
    return make_float4(low.x, low.y, high.x, high.y);
  }
};

struct BFloat16 {
  using Raw = uint2;
  static __device__ float4 Widened(const Raw& raw) {
    return make_float4(__uint_as_float(raw.x << 16), __uint_as_float(raw.x & 0xFFFF0000U), __uint_as_float(raw.y << 16),
                       __uint_as_float(raw.y & 0xFFFF0000U));
  }
};

// A row's coefficients, read from shared memory in as few loads as possible.
template <int kCandidates>
struct alignas(kCandidates >= 4 ? 16 : 4 * kCandidates) Factors {
  float values[kCandidates];
};

struct Launch {
  const float* starts[kMaxDeviceBatch];
  float* outs[kMaxDeviceBatch];
  const float* coefficients;
  const void* deltas;
  std::int64_t row_stride;
  std::int64_t num_vectors;
  int num_rows;
  int num_candidates;
};

template <typename Source, int kCandidates>
__device__ void AddRow(float4 (&sums)[kCandidates], const typename Source::Raw& raw,
                       const Factors<kCandidates>& factors) {
  const float4 delta = Source::Widened(raw);
#pragma unroll
  for (int c = 0; c < kCandidates; ++c) {
    sums[c].x = __fmaf_rn(factors.values[c], delta.x, sums[c].x);
    sums[c].y = __fmaf_rn(factors.values[c], delta.y, sums[c].y);
    sums[c].z = __fmaf_rn(factors.values[c], delta.z, sums[c].z);
    sums[c].w = __fmaf_rn(factors.values[c], delta.w, sums[c].w);
  }
}

template <typename Source, int kCandidates>
__global__ void __launch_bounds__(kThreads) MergeKernel(const __grid_constant__ Launch launch) {
  using Raw = typename Source::Raw;
  extern __shared__ float4 shared[];
  auto* const loaded = reinterpret_cast<float*>(shared);
  for (int i = static_cast<int>(threadIdx.x); i < launch.num_rows * kCandidates; i += kThreads) {
    loaded[i] = launch.coefficients[i];
  }
  __syncthreads();
  const auto* const factors = reinterpret_cast<const Factors<kCandidates>*>(shared);
  const std::int64_t stride = launch.row_stride / kVector;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < launch.num_vectors;
       i += step) {
    float4 sums[kCandidates];
#pragma unroll
    for (int c = 0; c < kCandidates; ++c) {
      if (c < launch.num_candidates)
        sums[c] = reinterpret_cast<const float4*>(launch.starts[c])[i];
      else
        sums[c] = make_float4(0, 0, 0, 0);
    }
    const Raw* deltas = static_cast<const Raw*>(launch.deltas) + i;
    int row = 0;
    for (; row + kRowsInFlight <= launch.num_rows; row += kRowsInFlight) {
      Raw in_flight[kRowsInFlight];
#pragma unroll
      for (int r = 0; r < kRowsInFlight; ++r) in_flight[r] = __ldcs(deltas + r * stride);
      deltas += kRowsInFlight * stride;
#pragma unroll
      for (int r = 0; r < kRowsInFlight; ++r) AddRow<Source, kCandidates>(sums, in_flight[r], factors[row + r]);
    }
    for (; row < launch.num_rows; ++row, deltas += stride) {
      AddRow<Source, kCandidates>(sums, __ldcs(deltas), factors[row]);
    }
#pragma unroll
    for (int c = 0; c < kCandidates; ++c) {
      if (c < launch.num_candidates) reinterpret_cast<float4*>(launch.outs[c])[i] = sums[c];
    }
  }
}

// As many blocks as the GPU holds at once, each going on from piece to piece, or fewer when there is less to do.
template <typename Source, int kCandidates>
cudaError_t Start(const Launch& launch, cudaStream_t stream) {
  const auto kernel = MergeKernel<Source, kCandidates>;
  const std::size_t shared_bytes = sizeof(Factors<kCandidates>) * static_cast<std::size_t>(launch.num_rows);
  int device = 0, num_processors = 0, blocks_of_processor = 0;
  cudaError_t status = cudaGetDevice(&device);
  if (status == cudaSuccess) status = cudaDeviceGetAttribute(&num_processors, cudaDevAttrMultiProcessorCount, device);
  if (status == cudaSuccess) {
    status = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks_of_processor, kernel, kThreads, shared_bytes);
  }
  if (status != cudaSuccess) return status;
  const std::int64_t resident = static_cast<std::int64_t>(num_processors) * std::max(1, blocks_of_processor);
  const std::int64_t needed = (launch.num_vectors + kThreads - 1) / kThreads;
  kernel<<<static_cast<unsigned>(std::min(resident, needed)), kThreads, shared_bytes, stream>>>(launch);
  return cudaGetLastError();
}

template <typename Source>
cudaError_t StartFor(const Launch& launch, cudaStream_t stream) {
  switch (PaddedBatch(launch.num_candidates)) {
    case 1:
      return Start<Source, 1>(launch, stream);
    case 2:
      return Start<Source, 2>(launch, stream);
    case 4:
      return Start<Source, 4>(launch, stream);
    case 8:
      return Start<Source, 8>(launch, stream);
    case 16:
      return Start<Source, 16>(launch, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

template <typename Source>
cudaError_t Merge(const DeviceRows& rows, const DeviceBatch& batch, cudaStream_t stream) {
  if (rows.num_columns == 0) return cudaSuccess;
  Launch launch{};
  launch.row_stride = rows.row_stride;
  launch.num_vectors = rows.num_columns / kVector;
  launch.num_candidates = batch.num_candidates;
  for (int c = 0; c < batch.num_candidates; ++c) {
    launch.starts[c] = rows.base;
    launch.outs[c] = batch.outs[c];
  }
  std::int64_t row = 0;
  do {
    launch.num_rows = static_cast<int>(std::min(kRowsOfLaunch, rows.num_rows - row));
    launch.coefficients = batch.coefficients + row * PaddedBatch(batch.num_candidates);
    launch.deltas = static_cast<const typename Source::Raw*>(rows.deltas) + row * rows.row_stride / kVector;
    const cudaError_t status = StartFor<Source>(launch, stream);
    if (status != cudaSuccess) return status;
    std::copy_n(batch.outs, batch.num_candidates, launch.starts);
    row += launch.num_rows;
  } while (row < rows.num_rows);
  return cudaSuccess;
}

}  // namespace

cudaError_t MergeFloat32OnDevice(const DeviceRows& rows, const DeviceBatch& batch, cudaStream_t stream) {
  return Merge<Float32>(rows, batch, stream);
}

cudaError_t MergeFloat16OnDevice(const DeviceRows& rows, const DeviceBatch& batch, cudaStream_t stream) {
  return Merge<Float16>(rows, batch, stream);
}

cudaError_t MergeBFloat16OnDevice(const DeviceRows& rows, const DeviceBatch& batch, cudaStream_t stream) {
  return Merge<BFloat16>(rows, batch, stream);
}

}  // namespace lcsc
