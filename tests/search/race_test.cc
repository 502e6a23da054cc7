#include "lcsc/search/race.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace lcsc {
namespace {

// Scores that follow their first look but for normal noise, y = 0.9 x - 3 + e: at the bar, a candidate reaches the
// target with the probability that was asked for.
TEST(RaceTest, ABarIsWhereTheRiskSays) {
  constexpr double kRisk = 0.1, kTarget = 6;
  std::mt19937_64 random(3);
  std::normal_distribution<double> noise(/*mean=*/0, /*stddev=*/0.5), look(/*mean=*/12, /*stddev=*/2);
  const auto score_of = [&](double x) { return 0.9 * x - 3 + noise(random); };
  int reached = 0;
  constexpr int kTrials = 4000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<EvaluatedCandidate> members(12);
    Witnesses witnesses;
    for (EvaluatedCandidate& member : members) {
      const double x = look(random);
      member.outcome.score = score_of(x);
      member.outcome.metrics[LookName(100)] = x;
      witnesses.push_back(&member);
    }
    reached += score_of(RaceBars(witnesses, kTarget, kRisk).at(100)) <= kTarget;
  }
  EXPECT_NEAR(static_cast<double>(reached) / kTrials, kRisk, 0.015);
}

TEST(RaceTest, AnEstimateIsTheLineAtTheLastLook) {
  std::vector<EvaluatedCandidate> members(6);
  Witnesses witnesses;
  for (int i = 0; i < 6; ++i) {
    members[static_cast<std::size_t>(i)].outcome = {.score = 2 + 3.0 * i,
                                                    .failure = {},
                                                    .seconds = {},
                                                    .metrics = {{LookName(10), 50.0 - i}, {LookName(20), 1.0 * i}}};
    witnesses.push_back(&members[static_cast<std::size_t>(i)]);
  }
  Outcome stopped{.score = {}, .failure = {}, .seconds = {}, .metrics = {{LookName(10), 49.0}, {LookName(20), 7.0}}};
  EXPECT_NEAR(EstimatedScore(stopped, witnesses).value(), 23, 1e-12);
  stopped.metrics = {{LookName(5), 49.0}};
  EXPECT_FALSE(EstimatedScore(stopped, witnesses));
  EXPECT_FALSE(EstimatedScore(Outcome{.score = {}, .failure = "broken", .seconds = {}}, witnesses));
}

// Scores that fall as the first look rises, or do not depend on it, can stop nobody.
TEST(RaceTest, ALookThatSaysNothingSetsNoBar) {
  std::vector<EvaluatedCandidate> members(20);
  Witnesses witnesses;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const double x = static_cast<double>(i);
    members[i].outcome = {.score = 5 + static_cast<double>(i % 2),
                          .failure = {},
                          .seconds = {},
                          .metrics = {{LookName(10), x}, {LookName(20), -x}, {LookName(40), 3.0}}};
    witnesses.push_back(&members[i]);
  }
  EXPECT_TRUE(RaceBars(witnesses, 1, 0.01).empty());
}

TEST(RaceTest, FewWitnessesSetNoBar) {
  std::vector<EvaluatedCandidate> members(4);
  Witnesses witnesses;
  for (EvaluatedCandidate& member : members) {
    member.outcome = {.score = 1, .failure = {}, .seconds = {}, .metrics = {{LookName(10), 2.0}, {"fid", 1.0}}};
    witnesses.push_back(&member);
  }
  EXPECT_TRUE(RaceBars(witnesses, 1, 0.01).empty());
}

TEST(RaceTest, LooksHaveNamesOfTheirOwn) {
  EXPECT_EQ(SamplesOfLook(LookName(2500)), 2500);
  EXPECT_EQ(SamplesOfLook("fid"), 0);
  EXPECT_EQ(SamplesOfLook("score_of_first_"), 0);
}

}  // namespace
}  // namespace lcsc
