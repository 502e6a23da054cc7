// The oracle is the CPU. Needs a GPU.
#include <gtest/gtest.h>

#include "lcsc/metric/frechet.h"
#include "metric/symmetric.h"

namespace lcsc {
namespace {

class FrechetCudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "LibTorch finds no GPU";
  }
};

GaussianStatistics Fit(const at::Tensor& features) {
  FeatureStatistics statistics(features.size(1));
  statistics.Add(features);
  return GaussianOf(statistics);
}

TEST_F(FrechetCudaTest, EigenvaluesAreThoseOfTheCpu) {
  at::manual_seed(1);
  const at::Tensor half = at::randn({300, 200}, at::kDouble), matrix = half.t().mm(half);
  const at::Tensor upper = matrix.triu() + at::ones({200, 200}, at::kDouble).tril(-1) * 1e6;
  for (const std::int64_t rank : {200, 150}) {
    const at::Tensor factor = at::randn({200, 200}, at::kDouble).triu().narrow(0, 0, rank).contiguous();
    const at::Tensor expected = CongruenceEigenvalues(factor, upper, DenseKernels::kLibTorch);
    const at::Tensor found = CongruenceEigenvalues(factor.to(at::kCUDA), upper, DenseKernels::kLibTorch);
    ASSERT_TRUE(found.is_cpu());
    const double error = ((found - expected).abs().max() / expected.max()).item<double>();
    std::printf("rank %d: largest difference %.2e of the largest eigenvalue\n", static_cast<int>(rank), error);
    EXPECT_LT(error, 1e-12);
  }
}

TEST_F(FrechetCudaTest, DistancesAreThoseOfTheCpuWhereverTheyAreComputed) {
  at::manual_seed(2);
  // More features than images, too: the factor is not triangular then.
  for (const std::int64_t num_images : {3000, 300}) {
    const GaussianStatistics real = Fit(at::randn({num_images, 512})), generated = Fit(at::randn({4000, 512}) * 1.1);
    FrechetReference reference(real);
    const double expected = reference.Distance(generated);
    std::printf("%s\n", reference.ChooseDevice(0).c_str());
    EXPECT_NEAR(reference.Distance(generated) / expected, 1, 1e-10);
  }
}

}  // namespace
}  // namespace lcsc
