#include "metric/symmetric.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

// Fortran's calling convention: arguments by address, the texts' lengths behind them. Its matrices are column-major, so
// our upper triangle is its lower one.
using Dsyrk = void (*)(const char* uplo, const char* trans, const int* n, const int* k, const double* alpha,
                       const double* a, const int* lda, const double* beta, double* c, const int* ldc, std::size_t,
                       std::size_t);
using Dsygst = void (*)(const int* itype, const char* uplo, const int* n, double* a, const int* lda, const double* b,
                        const int* ldb, int* info, std::size_t);
using Dsyevd = void (*)(const char* jobz, const char* uplo, const int* n, double* a, const int* lda, double* w,
                        double* work, const int* lwork, int* iwork, const int* liwork, int* info, std::size_t,
                        std::size_t);

struct Lapack {
  Dsyrk dsyrk = nullptr;
  Dsygst dsygst = nullptr;
  Dsyevd dsyevd = nullptr;
  bool complete() const { return dsyrk != nullptr && dsygst != nullptr && dsyevd != nullptr; }
};

// The routines that LibTorch itself reaches. Asked for while running, since a LibTorch that brings another BLAS inside
// must not have its own calls captured by one that we would link.
const Lapack& FindLapack() {
  static const Lapack lapack = {reinterpret_cast<Dsyrk>(dlsym(RTLD_DEFAULT, "dsyrk_")),
                                reinterpret_cast<Dsygst>(dlsym(RTLD_DEFAULT, "dsygst_")),
                                reinterpret_cast<Dsyevd>(dlsym(RTLD_DEFAULT, "dsyevd_"))};
  return lapack;
}

// Eigenvalues in ascending order of the matrix in our upper triangle, which is overwritten.
at::Tensor EigenvaluesInPlace(const at::Tensor& matrix) {
  const int d = static_cast<int>(matrix.size(0)), query = -1;
  const at::Tensor values = at::empty({d}, at::kDouble);
  int info = 0, integers = 0;
  double doubles = 0;
  const auto run = [&](double* work, int lwork, int* iwork, int liwork) {
    FindLapack().dsyevd("N", "L", &d, matrix.data_ptr<double>(), &d, values.data_ptr<double>(), work, &lwork, iwork,
                        &liwork, &info, 1, 1);
    if (info != 0) throw MetricError("the eigenvalues of a covariance of {} features do not converge", d);
  };
  run(&doubles, query, &integers, query);
  std::vector<double> work(static_cast<std::size_t>(doubles));
  std::vector<int> iwork(static_cast<std::size_t>(integers));
  run(work.data(), static_cast<int>(work.size()), iwork.data(), static_cast<int>(iwork.size()));
  return values;
}

constexpr std::int64_t kTile = 64;  // of a matrix that is mirrored: 32 KiB, so that both sides stay in the cache

}  // namespace

DenseKernels FastestKernels() { return FindLapack().complete() ? DenseKernels::kLapack : DenseKernels::kLibTorch; }

void AddOuterProducts(const at::Tensor& rows, at::Tensor sums, DenseKernels kernels) {
  LCSC_CHECK(rows.is_contiguous() && sums.is_contiguous());
  if (kernels == DenseKernels::kLibTorch || !rows.is_cpu() || rows.size(0) == 0) {
    sums.addmm_(rows.t(), rows);
    return;
  }
  LCSC_CHECK(std::max(rows.size(0), rows.size(1)) <= std::numeric_limits<int>::max());
  const int n = static_cast<int>(rows.size(0)), d = static_cast<int>(rows.size(1));
  const double one = 1;
  FindLapack().dsyrk("L", "N", &d, &n, &one, rows.data_ptr<double>(), &d, &one, sums.data_ptr<double>(), &d, 1, 1);
}

at::Tensor CongruenceEigenvalues(const at::Tensor& factor, const at::Tensor& matrix, DenseKernels kernels) {
  if (kernels == DenseKernels::kLibTorch) {
    const at::Tensor upper = matrix.to(factor.device());
    const at::Tensor whole = upper.triu() + upper.triu(1).t();
    return at::linalg_eigvalsh(factor.mm(whole).mm(factor.t()), "U").cpu();
  }
  LCSC_CHECK(factor.is_contiguous() && matrix.is_contiguous());
  const at::Tensor product = matrix.clone();
  const int itype = 2, d = static_cast<int>(matrix.size(0));
  int info = 0;
  FindLapack().dsygst(&itype, "L", &d, product.data_ptr<double>(), &d, factor.data_ptr<double>(), &d, &info, 1);
  LCSC_CHECK(info == 0);
  return EigenvaluesInPlace(product);
}

at::Tensor CovarianceOf(const at::Tensor& upper, const at::Tensor& mean, double count) {
  const std::int64_t d = mean.size(0);
  const at::Tensor covariance = at::empty({d, d}, at::kDouble);
  const double* const sums = upper.data_ptr<double>();
  const double* const means = mean.data_ptr<double>();
  double* const out = covariance.data_ptr<double>();
  at::parallel_for(0, (d + kTile - 1) / kTile, 1, [&](std::int64_t first_tile, std::int64_t last_tile) {
    for (std::int64_t top = first_tile * kTile; top < std::min(last_tile * kTile, d); top += kTile) {
      for (std::int64_t left = top; left < d; left += kTile) {
        for (std::int64_t i = top; i < std::min(top + kTile, d); ++i) {
          for (std::int64_t j = std::max(left, i); j < std::min(left + kTile, d); ++j) {
            const double value = (sums[i * d + j] - count * means[i] * means[j]) / (count - 1);
            out[i * d + j] = value;
            out[j * d + i] = value;
          }
        }
      }
    }
  });
  return covariance;
}

}  // namespace lcsc
