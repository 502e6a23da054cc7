// Dense arithmetic on symmetric float64 matrices [d, d] of which only the upper triangle is looked at.
#pragma once

#include <ATen/ATen.h>

namespace lcsc {

// Whose routines do the work: LAPACK's halve it, and are there when the program's LibTorch has loaded a whole LAPACK
// (Debian's has OpenBLAS); LibTorch's own operators are always there.
enum class DenseKernels { kLapack, kLibTorch };
DenseKernels FastestKernels();

// upper triangle of `sums` += rows^T rows; what becomes of the other triangle is not defined.
//   rows: float64 [n, d], contiguous; sums: float64 [d, d], contiguous; on the CPU for kLapack.
void AddOuterProducts(const at::Tensor& rows, at::Tensor sums, DenseKernels kernels = FastestKernels());

// Eigenvalues of U C U^T, in ascending order.
//   factor: U, float64 [d, d], contiguous, upper triangular; for kLibTorch any [rank, d], on any device, which then
//   does the work; matrix: C, on the CPU, of which the upper triangle counts. Returns them on the CPU.
at::Tensor CongruenceEigenvalues(const at::Tensor& factor, const at::Tensor& matrix,
                                 DenseKernels kernels = FastestKernels());

// (upper - count mean mean^T) / (count - 1) with both triangles: the covariance of sums of outer products.
at::Tensor CovarianceOf(const at::Tensor& upper, const at::Tensor& mean, double count);

}  // namespace lcsc
