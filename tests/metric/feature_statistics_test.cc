#include "lcsc/metric/feature_statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "lcsc/base/error.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

double MaxDifference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

at::Tensor FourPoints() { return at::tensor({1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 2.0, 0.0}).view({4, 2}); }

TEST(FeatureStatistics, FitTheMeanAndTheUnbiasedCovarianceOfFourPoints) {
  FeatureStatistics statistics(2);
  statistics.Add(FourPoints().to(at::kFloat));
  EXPECT_EQ(statistics.count(), 4);
  // Means 3 and 3.5; deviations (-2,-1.5) (0,.5) (3,4.5) (-1,-3.5); squares and products summed, divided by 3.
  EXPECT_LT(MaxDifference(statistics.Mean(), at::tensor({3.0, 3.5})), 1e-12);
  const at::Tensor expected = at::tensor({14.0, 20.0, 20.0, 35.0}, at::kDouble).view({2, 2}) / 3;
  EXPECT_LT(MaxDifference(statistics.Covariance(), expected), 1e-12);
}

TEST(FeatureStatistics, SplitStatisticsEqualWholeOnes) {
  const at::Tensor features = at::randn({101, 5}) * 3 + 7;
  FeatureStatistics whole(5), merged(5), second(5);
  whole.Add(features);
  merged.Add(features.narrow(0, 0, 17));
  merged.Add(features.narrow(0, 17, 33));
  second.Add(features.narrow(0, 50, 51));
  merged.Merge(second);
  EXPECT_EQ(merged.count(), 101);
  EXPECT_LT(MaxDifference(merged.Mean(), whole.Mean()), 1e-12);
  EXPECT_LT(MaxDifference(merged.Covariance(), whole.Covariance()), 1e-11);
}

TEST(FeatureStatistics, KeepTheirPrecisionWhenTheMeanIsLargeBesideTheSpread) {
  FeatureStatistics statistics(2);
  statistics.Add(FourPoints() + 1e4);
  const at::Tensor expected = at::tensor({14.0, 20.0, 20.0, 35.0}, at::kDouble).view({2, 2}) / 3;
  EXPECT_LT(MaxDifference(statistics.Covariance(), expected), 1e-6);
}

TEST(FeatureStatistics, SayWhenAFeatureIsNotFinite) {
  FeatureStatistics statistics(2);
  EXPECT_TRUE(statistics.IsFinite());
  statistics.Add(at::tensor({1.0, std::numeric_limits<double>::quiet_NaN()}).view({1, 2}));
  EXPECT_FALSE(statistics.IsFinite());
}

TEST(FeatureStatistics, RefuseFeaturesAndStatisticsOfAnotherDimension) {
  FeatureStatistics statistics(3);
  EXPECT_THAT(MessageOf<MetricError>([&] {
                statistics.Add(at::ones({4, 2}));
              }),
              AllOf(HasSubstr("3 features"), HasSubstr("[4, 2]")));
  EXPECT_THAT(MessageOf<MetricError>([&] { statistics.Merge(FeatureStatistics(2)); }),
              AllOf(HasSubstr("3 features"), HasSubstr("statistics of 2")));
}

TEST(FeatureStatistics, RefuseACovarianceOfOneSample) {
  FeatureStatistics statistics(2);
  statistics.Add(at::ones({1, 2}));
  EXPECT_THROW(statistics.Covariance(), MetricError);
}

}  // namespace
}  // namespace lcsc
