// Diffusion processes against their formulas, written out as products.
#include "lcsc/model/noise_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "lcsc/base/error.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

TEST(LinearBetas, GoFromStartToEndInEqualSteps) {
  const std::vector<double> betas = LinearBetas(5, 0.1, 0.5);
  ASSERT_EQ(betas.size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(betas[i], 0.1 * static_cast<double>(i + 1), 1e-15);
}

// 1 - beta_i are ratios of neighbouring alpha_bar, so that their products telescope.
TEST(CosineBetas, MultiplyToTheSquaredCosine) {
  constexpr std::int64_t kSteps = 400;
  const std::vector<double> betas = CosineBetas(kSteps);
  const auto alpha_bar = [](double t) {
    const double c = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
    return c * c;
  };
  double product = 1;
  for (std::size_t i = 0; i < 300; ++i) product *= 1 - betas[i];
  EXPECT_NEAR(product, alpha_bar(300.0 / kSteps) / alpha_bar(0), 1e-12);
  EXPECT_EQ(betas.back(), 0.999);
}

TEST(DiscreteSchedule, HasTheProductOfOneMinusBetaAtItsSteps) {
  const std::vector<double> betas = LinearBetas(1000);
  const NoiseSchedule schedule = NoiseSchedule::Discrete(betas);
  EXPECT_EQ(schedule.num_timesteps(), 1000);
  EXPECT_EQ(schedule.first_time(), 1);
  EXPECT_EQ(schedule.last_time(), 0.001);
  double alpha_bar = 1;
  for (int n = 1; n <= 1000; ++n) {
    alpha_bar *= 1 - betas[static_cast<std::size_t>(n - 1)];
    if (n != 1 && n != 437 && n != 1000) continue;
    const double t = n / 1000.0, level = std::sqrt((1 - alpha_bar) / alpha_bar);
    EXPECT_NEAR(schedule.LogAlpha(t), 0.5 * std::log(alpha_bar), 1e-12) << n;
    EXPECT_NEAR(schedule.NoiseLevel(t) / level, 1, 1e-10) << n;
    EXPECT_NEAR(schedule.Lambda(t), -std::log(level), 1e-10) << n;
    EXPECT_NEAR(schedule.TimeOfNoiseLevel(level), t, 1e-11) << n;
  }
  EXPECT_NEAR(schedule.InitialScale(), 1 / std::sqrt(alpha_bar), 1e-9);
}

TEST(DiscreteSchedule, IsLinearInLogAlphaBetweenItsSteps) {
  const NoiseSchedule schedule = NoiseSchedule::Discrete({0.1, 0.3, 0.2});
  const double first = 0.5 * std::log(0.9), second = 0.5 * std::log(0.9 * 0.7);
  EXPECT_NEAR(schedule.LogAlpha(1.25 / 3), 0.75 * first + 0.25 * second, 1e-14);
  // Beyond the ends as the outermost pair goes on.
  EXPECT_NEAR(schedule.LogAlpha(0.5 / 3), first - 0.5 * (second - first), 1e-14);
  const double third = 0.5 * std::log(0.9 * 0.7 * 0.8);
  EXPECT_NEAR(schedule.LogAlpha(3.5 / 3), third + 0.5 * (third - second), 1e-14);
}

TEST(DiscreteSchedule, InvertsItsNoiseLevelsEverywhere) {
  const NoiseSchedule schedule = NoiseSchedule::Discrete(CosineBetas(50));
  for (const double t : {0.013, 0.02, 0.031, 0.4444, 0.7, 0.979, 1.0}) {
    EXPECT_NEAR(schedule.TimeOfNoiseLevel(schedule.NoiseLevel(t)), t, 1e-9);
    EXPECT_NEAR(schedule.TimeOfLambda(schedule.Lambda(t)), t, 1e-9);
  }
}

TEST(DiscreteSchedule, RefusesBetasOutsideTheUnitInterval) {
  using testing::HasSubstr;
  const auto message = [](const std::vector<double>& betas) {
    return MessageOf<ConfigError>([&] { NoiseSchedule::Discrete(betas); });
  };
  EXPECT_THAT(message({0.1, 1.0}), HasSubstr("beta 1"));
  EXPECT_THAT(message({0.0, 0.1}), HasSubstr("beta 0"));
  EXPECT_THAT(message({0.1}), HasSubstr("at least 2"));
}

TEST(EdmSchedule, HasTheNoiseLevelAsItsTime) {
  const NoiseSchedule schedule = NoiseSchedule::Edm(0.01, 50);
  EXPECT_FALSE(schedule.is_discrete());
  EXPECT_EQ(schedule.first_time(), 50);
  EXPECT_EQ(schedule.last_time(), 0.01);
  EXPECT_EQ(schedule.NoiseLevel(3), 3);
  EXPECT_EQ(schedule.TimeOfNoiseLevel(3), 3);
  EXPECT_NEAR(schedule.Lambda(3), -std::log(3.0), 1e-15);
  EXPECT_NEAR(schedule.TimeOfLambda(-std::log(3.0)), 3, 1e-14);
  EXPECT_EQ(schedule.LogAlpha(3), 0);
  EXPECT_EQ(schedule.InitialScale(), 50);
}

}  // namespace
}  // namespace lcsc
