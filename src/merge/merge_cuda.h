// The arithmetic of a merge on a GPU, the twin of merge_kernel.h: rows of deltas in device memory -> many candidates.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace lcsc {

// Candidates that one pass over the rows serves.
inline constexpr int kMaxDeviceBatch = 16;
// Rows and outs are filled up to a multiple of this: every thread works on a whole vector of columns.
inline constexpr std::int64_t kDeviceColumnUnit = 64;

// Columns of all rows. Device: the one that is current when the merge is launched.
struct DeviceRows {
  const float* base = nullptr;   // [num_columns]
  const void* deltas = nullptr;  // [num_rows, row_stride] in the storage type, the first num_columns of each row
  std::int64_t row_stride = 0;   // elements, a multiple of kDeviceColumnUnit
  std::int64_t num_rows = 0;     // K - 1
  std::int64_t num_columns = 0;  // a multiple of kDeviceColumnUnit
};

// Device: the same.
struct DeviceBatch {
  const float* coefficients = nullptr;  // [num_rows, PaddedBatch(num_candidates)], without a_1; zeros fill it up
  int num_candidates = 0;               // 1 to kMaxDeviceBatch
  float* outs[kMaxDeviceBatch] = {};    // num_candidates of them, each [num_columns]
};

// The batches that kernels are compiled for: 1, 2, 4, 8, 16.
constexpr int PaddedBatch(int num_candidates) {
  int padded = 1;
  while (padded < num_candidates) padded *= 2;
  return padded;
}

//   out[c][j] = fma(a[c][K-1], d[K-2][j], ... fma(a[c][1], d[0][j], base[j]) ...)
// rounded to nearest after each step, subnormal numbers kept: bit for bit the chain of MergeRowsInto, whatever the
// batch, the grid and the kind of GPU. Not-a-numbers are that, whatever their payload.
//
// Each thread loads four columns of a row once and keeps the sums of all candidates in registers. For n = num_columns,
// b bytes per delta and C = PaddedBatch candidates the floor is the larger of
//   memory      n ((K - 1) b + 4 + 4 C) bytes / bandwidth        (per 512 rows beyond the first 512: 8 C n bytes more)
//   arithmetic  n (K - 1) C fused multiply-adds / rate
// On an H200 (4.8 TB/s, 132 x 128 a clock at 1.98 GHz: 33e12 a second) memory is the floor of float32 for every C, and
// of 16-bit deltas for C <= 8; 16 candidates of 16-bit deltas wait for the arithmetic.
//
// Asynchronous on `stream`; returns what the launch said. REQUIRES: pointers aligned to 256 bytes; no two outs overlap.
using DeviceMergeFunction = cudaError_t (*)(const DeviceRows& rows, const DeviceBatch& batch, cudaStream_t stream);
cudaError_t MergeFloat32OnDevice(const DeviceRows& rows, const DeviceBatch& batch, cudaStream_t stream);
cudaError_t MergeFloat16OnDevice(const DeviceRows& rows, const DeviceBatch& batch, cudaStream_t stream);
cudaError_t MergeBFloat16OnDevice(const DeviceRows& rows, const DeviceBatch& batch, cudaStream_t stream);

}  // namespace lcsc
