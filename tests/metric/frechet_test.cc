#include "lcsc/metric/frechet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  WriteReference(folder / "digits.npz", {statistics, R"({"images": 20})"});
  const ReferenceFile read = ReadReference(folder / "digits.npz");
  EXPECT_TRUE(at::equal(read.statistics.mean, statistics.mean));
  EXPECT_TRUE(at::equal(read.statistics.covariance, statistics.covariance));
  EXPECT_EQ(read.provenance_json, R"({"images": 20})");
}

TEST(ReferenceFile, OfAnotherToolHasNoProvenanceAndMayBeInFloat32) {
  const TempFolder folder;
  WriteNpz(folder / "other.npz", {{"mu", at::ones({2})}, {"sigma", at::eye(2)}});
  const ReferenceFile read = ReadReference(folder / "other.npz");
  EXPECT_EQ(read.provenance_json, "");
  EXPECT_EQ(read.statistics.mean.scalar_type(), at::kDouble);
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
