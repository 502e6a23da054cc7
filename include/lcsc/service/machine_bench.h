// What this machine can do at most: the ceilings beside which stages are measured.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace lcsc {

// Of the CPU, with so many arithmetic threads.
struct MachineRates {
  int threads = 1;
  double copy_bytes_per_second = 0;         // of arrays beyond any cache; bytes read and bytes written both count
  double product_flops_per_second = 0;      // float32 matrix product; a multiply-add is two
  double convolution_flops_per_second = 0;  // float32 convolution, 3 x 3, 256 channels, channels last
};

// Seconds of one call: the fastest of several that fit into budget_seconds together, after one that does not count.
double FastestSeconds(double budget_seconds, const std::function<void()>& work);

// Float32 matrix product of two squares, operations per second: the BLAS. Uses LibTorch's present number of threads.
double MeasureProduct(double budget_seconds, std::int64_t side = 1536);
// The file of the library that serves LibTorch's matrix products: its BLAS, or LibTorch itself.
std::string BlasLibrary();

// Takes somewhat more than budget_seconds for each of the rates. Uses LibTorch's present number of threads.
MachineRates MeasureMachine(double budget_seconds = 0.8);

// Float32 operations of the convolutions, matrix products and linear layers that `work` computes in this thread, two
// for each multiply-add. Convolutions that are prepared for the processor once, as an extractor's are, count when they
// are prepared and not when they run: let `work` be the first use.
double CountFlops(const std::function<void()>& work);

}  // namespace lcsc
