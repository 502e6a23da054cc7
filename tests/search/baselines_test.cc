#include "lcsc/search/baselines.h"

#include <gmock/gmock.h>

#include "lcsc/base/error.h"
#include "lcsc/search/averages.h"
#include "lcsc/search/greedy_soup.h"

namespace lcsc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Checkpoints on a line, at these places; the score is the merged network's distance to 10.
const std::vector<double> kPlaces = {4, 11.5, 9, 17, 8.5, 12.5};

Outcome ScoreOf(const Coefficients& coefficients) {
  double place = 0;
  for (std::size_t i = 0; i < kPlaces.size(); ++i) place += coefficients[i] * kPlaces[i];
  Outcome outcome;
  outcome.score = std::abs(place - 10);
  return outcome;
}

std::vector<Outcome> ScoresOf(const std::vector<Coefficients>& asked) {
  std::vector<Outcome> outcomes;
  for (const Coefficients& coefficients : asked) outcomes.push_back(ScoreOf(coefficients));
  return outcomes;
}

BaselinePlan Plan(const std::string& names) {
  return {.names = ParseBaselines(names, "--baselines"),
          .steps = {10, 20, 30, 40, 50, 60},
          .ema_rates = {0, 0.9},
          .sigma_rels = {0.05, 0.2}};
}

TEST(BaselinesTest, EachFamilysBestIsChosen) {
  const std::vector<Baseline> found = ChooseBaselines(Plan("uniform,best,last,posthoc,ema"), ScoresOf);
  std::vector<std::string> titles, which;
  for (const Baseline& baseline : found) {
    titles.push_back(baseline.title);
    which.push_back(baseline.chosen.which);
    for (const BaselineChoice& choice : baseline.choices) {
      EXPECT_LE(*baseline.chosen.outcome.score, *choice.outcome.score);
      EXPECT_EQ(*choice.outcome.score, *ScoreOf(choice.coefficients).score) << choice.which;
    }
  }
  EXPECT_THAT(titles,
              ElementsAre("last checkpoint", "best single checkpoint", "best EMA", "post-hoc EMA", "uniform average"));
  EXPECT_EQ(which[0], "step 60");
  EXPECT_EQ(which[1], "step 30");
  EXPECT_EQ(which[4], "last 6") << "the average of all is 10.42, of the last four 11.75, of the last two 10.5";
  EXPECT_EQ(found[4].choices.size(), 3u);
}

// By hand: 9 (score 1); with 11.5: 10.25; with 8.5: 9.667, worse; with 12.5: 11, worse; with 4: 8.17, worse; with
// 17: 12.5, worse.
TEST(BaselinesTest, TheSoupGrowsWhileItDoesNotGetWorse) {
  for (const std::size_t num_parallel : {1u, 2u, 3u, 10u}) {
    BaselinePlan plan = Plan("soup");
    plan.num_parallel = num_parallel;
    const Baseline soup = ChooseBaselines(plan, ScoresOf)[0];
    EXPECT_EQ(soup.chosen.coefficients, (Coefficients{0, 0.5, 0.5, 0, 0, 0})) << num_parallel;
    EXPECT_DOUBLE_EQ(*soup.chosen.outcome.score, 0.25);
    EXPECT_EQ(soup.chosen.which, "2 of 6 checkpoints");
    EXPECT_EQ(soup.choices.size(), 6u + 5u) << "the singles, and one trial for each but the best";
  }
}

TEST(BaselinesTest, AnEqualScoreIsAddedAndAFailureIsNot) {
  GreedySoup soup({2, 0, 1}, 5, 3);
  soup.Tell({std::nullopt});
  EXPECT_EQ(soup.Trials(9), (std::vector<Coefficients>{{0, 0.5, 0.5}}));
  soup.Tell({5.0});
  EXPECT_THAT(soup.ingredients(), ElementsAre(2, 1));
  EXPECT_TRUE(soup.Trials(9).empty());
}

TEST(BaselinesTest, WhatFamiliesShareIsEvaluatedOnce) {
  std::size_t asked = 0;
  BaselinePlan plan = Plan("last,best,ema,soup");
  EvaluatedCandidate known;
  known.candidate.ema_rate = 0.5;
  known.candidate.coefficients = EmaCoefficients(0.5, plan.steps);
  known.outcome.score = 3.25;
  plan.known_emas = {known};
  plan.every = 2;
  const std::vector<Baseline> found = ChooseBaselines(plan, [&](const std::vector<Coefficients>& coefficients) {
    asked += coefficients.size();
    return ScoresOf(coefficients);
  });
  EXPECT_EQ(asked, 3u + 2u) << "every second checkpoint, and the soup's trials of two";
  EXPECT_EQ(found[1].choices[0].which, "step 20");
  EXPECT_EQ(found[2].chosen.outcome.score, 3.25);
  EXPECT_EQ(found[2].chosen.which, "EMA 0.5");
}

TEST(BaselinesTest, AFamilyWithoutScoresSaysWhy) {
  const auto fails = [](const std::vector<Coefficients>& asked) {
    std::vector<Outcome> outcomes(asked.size());
    for (Outcome& outcome : outcomes) outcome.failure = "asked to fail";
    return outcomes;
  };
  for (const Baseline& baseline : ChooseBaselines(Plan("last,best,soup"), fails)) {
    EXPECT_FALSE(baseline.chosen.outcome.score) << baseline.title;
    EXPECT_EQ(baseline.chosen.outcome.failure, "asked to fail");
  }
}

TEST(BaselinesTest, UnknownNamesAreRefused) {
  try {
    ParseBaselines("last,unifrm", "--baselines");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(),
                ::testing::AllOf(HasSubstr("--baselines"), HasSubstr("'unifrm'"), HasSubstr("'uniform'?")));
  }
  EXPECT_THROW(ParseBaselines("", "--baselines"), ConfigError);
  EXPECT_THAT(ParseBaselines("soup,last,soup", "--baselines"), ElementsAre("last", "soup"));
}

}  // namespace
}  // namespace lcsc
