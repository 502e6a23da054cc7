#include "metric/symmetric.h"

#include <gtest/gtest.h>

#include <limits>

namespace lcsc {
namespace {

double MaxDifference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

class EveryKernel : public testing::TestWithParam<DenseKernels> {
 protected:
  void SetUp() override {
    if (GetParam() == DenseKernels::kLapack && FastestKernels() != DenseKernels::kLapack) {
      GTEST_SKIP() << "this LibTorch has loaded no LAPACK of its own";
    }
  }
};
INSTANTIATE_TEST_SUITE_P(, EveryKernel, testing::Values(DenseKernels::kLapack, DenseKernels::kLibTorch));

TEST_P(EveryKernel, AddsOuterProductsToTheUpperTriangle) {
  at::manual_seed(1);
  const at::Tensor rows = at::randn({37, 9}, at::kDouble), before = at::randn({9, 9}, at::kDouble);
  at::Tensor sums = before.clone();
  AddOuterProducts(rows, sums, GetParam());
  AddOuterProducts(rows.slice(0, 0, 0), sums, GetParam());
  EXPECT_LT(MaxDifference(sums.triu(), (before + rows.unsqueeze(2).mul(rows.unsqueeze(1)).sum(0)).triu()), 1e-12);
}

TEST_P(EveryKernel, FindsTheEigenvaluesLookingAtTheUpperTriangleAlone) {
  at::manual_seed(2);
  const at::Tensor factor = at::randn({70, 70}, at::kDouble).triu(), half = at::randn({70, 70}, at::kDouble);
  const at::Tensor matrix = half.mm(half.t());
  const at::Tensor upper = matrix.triu() + at::ones({70, 70}, at::kDouble).tril(-1) * 1e6;
  const at::Tensor found = CongruenceEigenvalues(factor, upper, GetParam());
  // U H is what U C U^T is the square of.
  const at::Tensor expected = at::linalg_svdvals(factor.mm(half)).square().flip(0);
  EXPECT_LT(MaxDifference(found, expected) / expected.max().item<double>(), 1e-13);
  EXPECT_EQ(MaxDifference(upper.tril(-1), at::ones({70, 70}, at::kDouble).tril(-1) * 1e6), 0) << "changed its input";
}

TEST(CovarianceOf, IsTheFormulaAndSymmetricForSizesThatTilesDoNotDivide) {
  at::manual_seed(3);
  const at::Tensor rows = at::randn({200, 131}, at::kDouble) + 3;
  at::Tensor sums = at::zeros({131, 131}, at::kDouble);
  AddOuterProducts(rows, sums);
  const at::Tensor found = CovarianceOf(sums, rows.mean(0), 200);
  EXPECT_LT(MaxDifference(found, at::cov(rows.t())), 1e-12);
  EXPECT_TRUE(at::equal(found, found.t()));
}

}  // namespace
}  // namespace lcsc
