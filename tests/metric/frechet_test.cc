#include "lcsc/metric/frechet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "lcsc/base/error.h"
#include "lcsc/io/npz.h"
#include "metric/recorded_features.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

GaussianStatistics Fit(const at::Tensor& features) {
  FeatureStatistics statistics(features.size(1));
  statistics.Add(features);
  return GaussianOf(statistics);
}

GaussianStatistics Diagonal(const at::Tensor& mean, const at::Tensor& deviations) {
  return {mean.to(at::kDouble), deviations.to(at::kDouble).square().diag()};
}

TEST_F(RecordedFeatures, HaveTheirPublishedDistance) { ExpectRecorded("fid", FrechetDistance(Fit(b_), Fit(a_))); }

// The recorded rank-deficient case is the first 40 rows of A, of 64 features, against B.
TEST_F(RecordedFeatures, HaveTheirPublishedDistanceWithFewerSamplesThanFeatures) {
  const GaussianStatistics few = Fit(a_.narrow(0, 0, 40));
  ExpectRecorded("fid_rank_deficient", FrechetDistance(Fit(b_), few));
  ExpectRecorded("fid_rank_deficient", FrechetDistance(few, Fit(b_)));
}

TEST_F(RecordedFeatures, HaveDistanceZeroFromThemselves) {
  EXPECT_NEAR(FrechetDistance(Fit(a_), Fit(a_)), 0, 1e-6);
  const GaussianStatistics few = Fit(a_.narrow(0, 0, 40));
  EXPECT_NEAR(FrechetDistance(few, few), 0, 1e-6);
}

TEST_F(RecordedFeatures, HaveTheSameDistanceAfterARotation) {
  const at::Tensor rotation = std::get<0>(at::linalg_qr(at::randn({64, 64}, at::kDouble)));
  const GaussianStatistics a = Fit(a_.to(at::kDouble).mm(rotation)), b = Fit(b_.to(at::kDouble).mm(rotation));
  ExpectRecorded("fid", FrechetDistance(b, a));
}

// With centred features X, Y: tr (C1 C2)^1/2 is the sum of the singular values of X Y^T / sqrt((n - 1) (m - 1)). This
// takes no root of an eigenvalue, so it is exact where eigenvalues are rounding.
double DistanceBySingularValues(const at::Tensor& a, const at::Tensor& b) {
  const auto centred = [](const at::Tensor& x) {
    const at::Tensor wide = x.to(at::kDouble);
    return (wide - wide.mean(0)) / std::sqrt(static_cast<double>(x.size(0) - 1));
  };
  const at::Tensor x = centred(a), y = centred(b);
  const at::Tensor means = (a.to(at::kDouble).mean(0) - b.to(at::kDouble).mean(0)).square().sum();
  const at::Tensor roots = at::linalg_svdvals(x.mm(y.t())).sum();
  return (means + x.square().sum() + y.square().sum() - 2 * roots).item<double>();
}

TEST(FrechetDistance, IsTheOneBySingularValuesForAnyNumbersOfSamplesAndFeatures) {
  at::manual_seed(7);
  struct Sizes {
    std::int64_t n, m, d;
  };
  double worst = 0;
  for (const auto& [n, m, d] : {Sizes{90, 70, 16},
                                {30, 200, 64},
                                {200, 30, 64},
                                {20, 40, 64},
                                {64, 65, 64},
                                {2, 3, 5},
                                {65, 64, 64},
                                {50, 40, 1}}) {
    const at::Tensor mix = at::randn({d, d});
    at::Tensor a = at::randn({n, d}).mm(mix), b = (at::randn({m, d}) * 1.3 + 0.2).mm(mix);
    a.select(1, d / 2).fill_(0.25);                                // a dead feature
    b.slice(0, m / 2, m).copy_(b.slice(0, 0, m - m / 2).clone());  // duplicates
    for (const auto& [x, y] : {std::pair(a, b), std::pair(b, a)}) {
      const double expected = DistanceBySingularValues(x, y);
      const double error = std::abs(FrechetDistance(Fit(y), Fit(x)) / expected - 1);
      worst = std::max(worst, error);
      EXPECT_LT(error, 1e-6) << n << " x " << m << " x " << d << ": expected " << expected;
    }
  }
  std::printf("Frechet distance by singular values: worst relative error %.2e\n", worst);
}

TEST(FrechetDistance, DoesNotDependOnThePartsThatTheStatisticsWereMadeOf) {
  at::manual_seed(8);
  const at::Tensor a = at::randn({300, 24}) + 2, b = at::randn({200, 24}) * 1.1;
  FeatureStatistics merged(24);
  for (std::int64_t begin = 0; begin < 300; begin += 7) {
    FeatureStatistics part(24);
    part.Add(a.slice(0, begin, std::min<std::int64_t>(begin + 7, 300)));
    merged.Merge(part);
  }
  const FrechetReference reference(Fit(b));
  EXPECT_NEAR(reference.Distance(GaussianOf(merged)) / reference.Distance(Fit(a)), 1, 1e-9);
}

TEST(FrechetDistance, IsTheClosedFormulaForGaussiansOnALine) {
  const GaussianStatistics a = Diagonal(at::tensor({1.0}), at::tensor({2.0}));
  const GaussianStatistics b = Diagonal(at::tensor({4.0}), at::tensor({0.5}));
  EXPECT_NEAR(FrechetDistance(a, b), 3.0 * 3.0 + 1.5 * 1.5, 1e-12);  // (m1 - m2)^2 + (s1 - s2)^2
}

TEST(FrechetDistance, AddsUpOverIndependentFeatures) {
  const GaussianStatistics a = Diagonal(at::tensor({0.0, 1.0, -2.0}), at::tensor({1.0, 3.0, 0.0}));
  const GaussianStatistics b = Diagonal(at::tensor({0.5, 1.0, 2.0}), at::tensor({2.0, 0.5, 1.0}));
  EXPECT_NEAR(FrechetDistance(a, b), (0.25 + 0 + 16) + (1 + 6.25 + 1), 1e-12);
  EXPECT_NEAR(FrechetDistance(b, a), (0.25 + 0 + 16) + (1 + 6.25 + 1), 1e-12);
}

TEST(FrechetDistance, WithoutAGpuTheCpuIsChosenInWords) {
  if (at::hasCUDA()) GTEST_SKIP() << "this machine has a GPU";
  const GaussianStatistics a = Diagonal(at::tensor({0.0, 1.0}), at::tensor({1.0, 3.0}));
  FrechetReference reference(a);
  EXPECT_THAT(reference.ChooseDevice(0), HasSubstr("on the CPU"));
  EXPECT_NEAR(reference.Distance(Diagonal(at::tensor({2.0, 1.0}), at::tensor({1.0, 3.0}))), 4, 1e-12);
}

TEST(FrechetDistance, NamesBothDimensionsWhenTheyDiffer) {
  const FrechetReference reference(Diagonal(at::zeros({3}), at::ones({3})));
  EXPECT_THAT(MessageOf<MetricError>([&] { reference.Distance(Diagonal(at::zeros({2}), at::ones({2}))); }),
              AllOf(HasSubstr("reference has 3"), HasSubstr("have 2")));
}

TEST(FrechetDistance, RefusesNumbersThatAreNotFinite) {
  GaussianStatistics broken = Diagonal(at::zeros({2}), at::ones({2}));
  const FrechetReference reference(broken);
  broken.covariance = broken.covariance * std::numeric_limits<double>::infinity();
  EXPECT_THAT(MessageOf<MetricError>([&] { reference.Distance(broken); }), HasSubstr("generated"));
  EXPECT_THAT(MessageOf<MetricError>([&] { FrechetReference{broken}; }), HasSubstr("reference"));
}

TEST(FrechetDistance, RefusesAMeanAndACovarianceThatDisagree) {
  EXPECT_THAT(MessageOf<MetricError>([] {
                FrechetReference({at::zeros({3}, at::kDouble), at::eye(2, at::kDouble)});
              }),
              AllOf(HasSubstr("[3]"), HasSubstr("[2, 2]")));
}

TEST(ReferenceFile, ReadsBackWhatWasWritten) {
  const TempFolder folder;
  const GaussianStatistics statistics = Fit(at::randn({20, 4}));
  WriteReference(folder / "digits.npz", {statistics, R"({"num_images": 20})"});
  const ReferenceFile read = ReadReference(folder / "digits.npz");
  EXPECT_TRUE(at::equal(read.statistics.mean, statistics.mean));
  EXPECT_TRUE(at::equal(read.statistics.covariance, statistics.covariance));
  EXPECT_EQ(read.provenance_json, R"({"num_images": 20})");
  EXPECT_EQ(read.statistics.count, 20);
}

TEST(ReferenceFile, OfAnotherToolHasNoProvenanceAndMayBeInFloat32) {
  const TempFolder folder;
  WriteNpz(folder / "other.npz", {{"mu", at::ones({2})}, {"sigma", at::eye(2)}});
  const ReferenceFile read = ReadReference(folder / "other.npz");
  EXPECT_EQ(read.provenance_json, "");
  EXPECT_EQ(read.statistics.mean.scalar_type(), at::kDouble);
  EXPECT_EQ(read.statistics.count, 0);
}

TEST(ReferenceFile, IsRefusedByNameWhenItsArraysDoNotFit) {
  const TempFolder folder;
  WriteNpz(folder / "shape.npz", {{"mu", at::ones({2})}, {"sigma", at::eye(3)}});
  EXPECT_THAT(MessageOf<InputError>([&] { ReadReference(folder / "shape.npz"); }),
              AllOf(HasSubstr("shape.npz"), HasSubstr("sigma"), HasSubstr("[3, 3]"), HasSubstr("[2, 2]")));
  WriteNpz(folder / "nan.npz", {{"mu", at::ones({2}) * NAN}, {"sigma", at::eye(2)}});
  EXPECT_THAT(MessageOf<InputError>([&] { ReadReference(folder / "nan.npz"); }),
              AllOf(HasSubstr("nan.npz"), HasSubstr("mu"), HasSubstr("not finite")));
  WriteNpz(folder / "lacks.npz", {{"mu", at::ones({2})}});
  EXPECT_THAT(MessageOf<InputError>([&] { ReadReference(folder / "lacks.npz"); }), HasSubstr("sigma"));
}

}  // namespace
}  // namespace lcsc
