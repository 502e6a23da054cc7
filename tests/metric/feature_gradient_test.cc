#include "lcsc/metric/feature_gradient.h"

#include <gtest/gtest.h>

#include <functional>

#include "lcsc/metric/frechet.h"
#include "lcsc/metric/kid.h"

namespace lcsc {
namespace {

struct Case {
  const char* name;
  std::int64_t generated, reference, dim;
};

at::Tensor Normal(std::int64_t rows, std::int64_t dim, std::uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  const at::Tensor mixing = at::randn({dim, dim}, generator, at::kDouble);
  return at::randn({rows, dim}, generator, at::kDouble).mm(mixing).add_(0.3);
}

FeatureStatistics StatisticsOf(const at::Tensor& features) {
  FeatureStatistics statistics(features.size(1));
  statistics.Add(features);
  return statistics;
}

// Along random directions, by central differences with Richardson's extrapolation.
void ExpectGradientOf(const std::function<double(const at::Tensor&)>& distance, const at::Tensor& features,
                      const at::Tensor& gradient) {
  ASSERT_EQ(gradient.sizes(), features.sizes());
  for (std::uint64_t seed = 100; seed < 104; ++seed) {
    const at::Tensor direction = Normal(features.size(0), features.size(1), seed);
    const auto difference = [&](double h) {
      return (distance(features + h * direction) - distance(features - h * direction)) / (2 * h);
    };
    constexpr double kStep = 1e-4;
    const double expected = (4 * difference(kStep / 2) - difference(kStep)) / 3;
    EXPECT_NEAR((gradient * direction).sum().item<double>(), expected, 1e-6 * std::abs(expected) + 1e-9);
  }
}

class FeatureGradientTest : public testing::TestWithParam<Case> {};

TEST_P(FeatureGradientTest, OfTheFrechetDistanceIsItsDifferences) {
  const Case& sizes = GetParam();
  const FrechetReference reference(GaussianOf(StatisticsOf(Normal(sizes.reference, sizes.dim, 1))));
  const at::Tensor features = Normal(sizes.generated, sizes.dim, 2);
  const FeatureStatistics statistics = StatisticsOf(features);
  const FeatureGradient gradient = FeatureGradientOf(reference.Gradient(GaussianOf(statistics)), statistics);
  ExpectGradientOf([&](const at::Tensor& x) { return reference.Distance(GaussianOf(StatisticsOf(x))); }, features,
                   gradient.Of(features, 0));
}

TEST_P(FeatureGradientTest, OfTheKernelDistanceIsItsDifferences) {
  const Case& sizes = GetParam();
  const KidReference reference(Normal(sizes.reference, sizes.dim, 1));
  const at::Tensor features = Normal(sizes.generated, sizes.dim, 2);
  ExpectGradientOf([&](const at::Tensor& x) { return reference.Distance(x); }, features,
                   reference.Gradient(features).Of(features, 0));
}

INSTANTIATE_TEST_SUITE_P(Sizes, FeatureGradientTest,
                         testing::Values(Case{"ManySamples", 60, 80, 6}, Case{"FewGenerated", 5, 80, 12},
                                         Case{"FewReference", 40, 7, 12}, Case{"FewOfBoth", 6, 5, 12},
                                         Case{"SeveralBlocks", 1100, 1050, 3}),
                         [](const auto& tested) { return std::string(tested.param.name); });

// A feature that no image has and equal eigenvalues: nothing overflows, and the other features' gradient is right.
TEST(FeatureGradientTest, SurvivesADeadFeatureAndEqualEigenvalues) {
  const at::Tensor real = Normal(50, 4, 1);
  const FrechetReference reference(GaussianOf(StatisticsOf(real)));
  at::Tensor features = Normal(50, 4, 2);
  features.select(1, 2).zero_();
  const FeatureStatistics statistics = StatisticsOf(features);
  const at::Tensor gradient = FeatureGradientOf(reference.Gradient(GaussianOf(statistics)), statistics).Of(features, 0);
  EXPECT_TRUE(at::isfinite(gradient).all().item<bool>());
  const GaussianGradient at_the_minimum = reference.Gradient(GaussianOf(StatisticsOf(real)));
  EXPECT_LT(at_the_minimum.covariance.abs().max().item<double>(), 1e-9);
  EXPECT_LT(at_the_minimum.mean.abs().max().item<double>(), 1e-9);
}

TEST(FeatureGradientTest, OfPartsIsThePartOfTheWhole) {
  const at::Tensor features = Normal(30, 4, 2).to(at::kFloat);
  const KidReference kernel(Normal(40, 4, 1));
  const FeatureStatistics statistics = StatisticsOf(features);
  const FrechetReference frechet(GaussianOf(StatisticsOf(Normal(40, 4, 1))));
  FeatureGradient sum;
  sum.Add(FeatureGradientOf(frechet.Gradient(GaussianOf(statistics)), statistics), 1);
  const at::Tensor of_one = sum.Of(features, 0);
  sum.Add(kernel.Gradient(features), 10);
  const at::Tensor whole = sum.Of(features, 0);
  EXPECT_EQ(whole.scalar_type(), at::kFloat);
  EXPECT_TRUE(sum.Of(features.narrow(0, 7, 9), 7).equal(whole.narrow(0, 7, 9)));
  EXPECT_TRUE(at::allclose(whole - of_one, 10 * kernel.Gradient(features).rows.to(at::kFloat), 1e-4, 1e-6));
}

}  // namespace
}  // namespace lcsc
