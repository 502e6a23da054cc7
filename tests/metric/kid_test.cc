#include "lcsc/metric/kid.h"

#include <gmock/gmock.h>

#include <limits>

#include "lcsc/base/error.h"
#include "metric/recorded_features.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Term by term, as the definition is written.
double KidByLoops(const at::Tensor& generated, const at::Tensor& reference) {
  const at::Tensor x = generated.to(at::kDouble).contiguous(), y = reference.to(at::kDouble).contiguous();
  const std::int64_t d = x.size(1);
  const auto kernel = [d](const double* a, const double* b) {
    double product = 0;
    for (std::int64_t i = 0; i < d; ++i) product += a[i] * b[i];
    return std::pow(product / static_cast<double>(d) + 1, 3);
  };
  const auto mean = [&](const at::Tensor& left, const at::Tensor& right, bool same) {
    double sum = 0, pairs = 0;
    for (std::int64_t i = 0; i < left.size(0); ++i) {
      for (std::int64_t j = 0; j < right.size(0); ++j) {
        if (same && i == j) continue;
        sum += kernel(left.data_ptr<double>() + i * d, right.data_ptr<double>() + j * d);
        ++pairs;
      }
    }
    return sum / pairs;
  };
  return mean(x, x, true) + mean(y, y, true) - 2 * mean(x, y, false);
}

TEST_F(RecordedFeatures, HaveTheirRecordedKid) { ExpectRecorded("kid_full_unbiased", KernelInceptionDistance(a_, b_)); }

// Recorded with subsets of 500. torch-fidelity draws other ones, so the two means agree as two means of 100 subsets do.
TEST_F(RecordedFeatures, HaveTheirRecordedKidOfSubsetsWithinItsStandardError) {
  const MeanStd found = KernelInceptionDistance(a_, b_, KidSubsets{.subset_size = 500});
  const double mean = Recorded("torch_fidelity.kernel_inception_distance_mean");
  const double std = Recorded("torch_fidelity.kernel_inception_distance_std");
  const double standard_error = std / std::sqrt(100);
  std::printf("KID of subsets: %.6f +- %.6f, recorded %.6f +- %.6f\n", found.mean, found.std, mean, std);
  EXPECT_NEAR(found.mean, mean, 3 * standard_error);
  EXPECT_NEAR(found.std, std, 0.25 * std);  // a deviation of 100 values is known to 7%
}

TEST(KernelInceptionDistance, IsTheDefinitionForOtherSizesAcrossBlocks) {
  at::manual_seed(1);
  const at::Tensor x = at::randn({1100, 3}) + 0.5, y = at::randn({1030, 3}) * 1.5;
  EXPECT_NEAR(KernelInceptionDistance(x, y) / KidByLoops(x, y), 1, 1e-10);
  const at::Tensor wide_x = at::randn({2, 300}, at::kDouble), wide_y = at::randn({5, 300}, at::kDouble) - 1;
  EXPECT_NEAR(KernelInceptionDistance(wide_x, wide_y) / KidByLoops(wide_x, wide_y), 1, 1e-10);
}

TEST(KernelInceptionDistance, IsTheFormulaForTwoPointsOnALine) {
  const at::Tensor x = at::tensor({0.0, 1.0}).view({2, 1}), y = at::tensor({1.0, 2.0}).view({2, 1});
  // k(0,1) = 1; k(1,2) = 27; mean of k(0,1) k(0,2) k(1,1) k(1,2) = (1 + 1 + 8 + 27) / 4.
  EXPECT_DOUBLE_EQ(KernelInceptionDistance(x, y), 1 + 27 - 2 * 37.0 / 4);
}

TEST(KernelInceptionDistance, TakesHalfPrecisionForWhatItIs) {
  const at::Tensor x = at::randn({20, 4}).to(at::kHalf), y = at::randn({20, 4}).to(at::kBFloat16);
  EXPECT_DOUBLE_EQ(KernelInceptionDistance(x, y), KernelInceptionDistance(x.to(at::kDouble), y.to(at::kDouble)));
}

TEST(KernelInceptionDistance, OfOneWholeSubsetIsTheDistance) {
  const at::Tensor x = at::randn({12, 4}), y = at::randn({12, 4});
  const MeanStd found = KernelInceptionDistance(x, y, KidSubsets{.num_subsets = 3, .subset_size = 12, .seed = 5});
  EXPECT_NEAR(found.mean, KernelInceptionDistance(x, y), 1e-12);
  EXPECT_NEAR(found.std, 0, 1e-12);
}

TEST(KernelInceptionDistance, DrawsOtherSubsetsForAnotherSeedAndTheSameForTheSame) {
  const at::Tensor x = at::randn({50, 4}), y = at::randn({60, 4});
  const auto mean = [&](std::uint64_t seed) {
    return KernelInceptionDistance(x, y, KidSubsets{.num_subsets = 2, .subset_size = 10, .seed = seed}).mean;
  };
  EXPECT_EQ(mean(1), mean(1));
  EXPECT_NE(mean(1), mean(2));
}

TEST(KidReference, ServesManyCandidatesToTheBit) {
  at::manual_seed(2);
  const at::Tensor features = at::randn({1030, 5}).to(at::kHalf);
  const KidReference reference(features);
  for (const double shift : {0.0, 0.7, 0.0}) {
    const at::Tensor generated = at::randn({90, 5}) + shift;
    EXPECT_EQ(reference.Distance(generated), KernelInceptionDistance(generated, features));
    EXPECT_NEAR(reference.Distance(generated) / KidByLoops(generated, features), 1, 1e-9);
  }
}

TEST(KernelInceptionDistance, RefusesWhatItCannotCompareInWords) {
  const auto refusal = [](const at::Tensor& x, const at::Tensor& y) {
    return MessageOf<MetricError>([&] { KernelInceptionDistance(x, y); });
  };
  EXPECT_THAT(refusal(at::ones({4, 3}), at::ones({4, 2})), AllOf(HasSubstr("3 features"), HasSubstr("has 2")));
  EXPECT_THAT(refusal(at::ones({1, 3}), at::ones({4, 3})), AllOf(HasSubstr("generated"), HasSubstr("at least 2")));
  EXPECT_THAT(refusal(at::ones({4, 3}), at::ones({4, 3}, at::kLong)), AllOf(HasSubstr("reference"), HasSubstr("Long")));
  at::Tensor broken = at::ones({5000, 3});
  broken[4500][2] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(refusal(broken, at::ones({4, 3})), HasSubstr("found inf at row 4500, column 2"));
  EXPECT_THAT(refusal(at::full({4, 3}, 1e200, at::kDouble), at::ones({4, 3})), HasSubstr("overflows"));
  EXPECT_THAT(MessageOf<MetricError>([] {
                KernelInceptionDistance(at::ones({4, 3}), at::ones({9, 3}), KidSubsets{.subset_size = 5});
              }),
              AllOf(HasSubstr("2 to 4 samples"), HasSubstr("9 reference")));
}

}  // namespace
}  // namespace lcsc
