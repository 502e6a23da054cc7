#include "lcsc/search/descent.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "lcsc/base/error.h"
#include "search/play.h"

namespace lcsc {
namespace {

constexpr std::size_t kCheckpoints = 6;

std::vector<std::int64_t> Steps() { return {10, 20, 30, 40, 50, 60}; }

SearchOptions Options() {
  SearchOptions options;
  options.strategy = "gradient";
  options.ema_rates = {0, 0.9, 0.99};
  options.gradient_steps = 40;
  options.learning_rate = 0.05;
  options.starts = 2;
  return options;
}

// A bowl whose bottom is 0 at a point away from all EMA candidates; each block of noise moves it a little.
double Bottom(std::size_t i, std::int64_t block) {
  return 0.3 - 0.15 * static_cast<double>(i) + 0.002 * static_cast<double>(block);
}

Outcome Evaluate(const Candidate& candidate) {
  Outcome outcome{.score = 0.0, .failure = {}, .seconds = {}};
  if (candidate.wants_gradient) outcome.gradient.assign(kCheckpoints, 0);
  for (std::size_t i = 1; i < kCheckpoints; ++i) {
    const double off = candidate.coefficients[i] - Bottom(i, candidate.noise_block);
    *outcome.score += off * off;
    if (candidate.wants_gradient) outcome.gradient[i] = 2 * off;
  }
  return outcome;
}

void Play(Strategy& strategy, std::uint64_t seed, std::int64_t most = kToTheEnd) {
  PlayWith(strategy, Evaluate, seed, most);
}

TEST(DescentTest, ReachesTheBottomAndKeepsTheSumOfOne) {
  Descent descent(Options(), Steps());
  Play(descent, 1);
  const auto population = descent.Population();
  const EvaluatedCandidate* best = BestOf(population);
  EXPECT_LT(*best->outcome.score, 0.02 * *BestOf(population, /*only_ema=*/true)->outcome.score);
  EXPECT_FALSE(best->candidate.wants_gradient);
  for (const EvaluatedCandidate& member : population) {
    double sum = 0;
    for (const double a : member.candidate.coefficients) sum += a;
    EXPECT_NEAR(sum, 1, 1e-12);
    EXPECT_EQ(member.candidate.wants_gradient, member.candidate.noise_block > 0);
    EXPECT_TRUE(member.outcome.gradient.empty() || member.outcome.gradient[0] == 0);
  }
  EXPECT_LE(static_cast<std::int64_t>(population.size()), 3 + 2 * 2 * 40);
  EXPECT_EQ(descent.planned_evaluations(), static_cast<std::int64_t>(population.size()));
}

TEST(DescentTest, TheOrderOfTheOutcomesChangesNothing) {
  Descent one(Options(), Steps()), other(Options(), Steps());
  Play(one, 1);
  Play(other, 2);
  EXPECT_EQ(PopulationDigest(one.Population()), PopulationDigest(other.Population()));
}

TEST(DescentTest, ARestoredDescentGoesOnAsIfNothingHadBeen) {
  Descent whole(Options(), Steps());
  Play(whole, 1);
  for (const std::int64_t told : {1, 3, 4, 5, 17, 50}) {
    Descent before(Options(), Steps());
    Play(before, 3, told);
    Descent after(Options(), Steps());
    after.Restore(before.State());
    EXPECT_EQ(after.Population().size(), static_cast<std::size_t>(told));
    Play(after, 4);
    EXPECT_EQ(PopulationDigest(after.Population()), PopulationDigest(whole.Population())) << told;
  }
}

TEST(DescentTest, MoreStepsContinueAFinishedDescent) {
  SearchOptions options = Options();
  options.gradient_steps = 5;
  Descent first(options, Steps());
  Play(first, 1);
  options.gradient_steps = 12;
  Descent longer(options, Steps()), whole(options, Steps());
  longer.Restore(first.State());
  EXPECT_FALSE(longer.Finished());
  Play(longer, 1);
  Play(whole, 1);
  EXPECT_EQ(PopulationDigest(longer.Population()), PopulationDigest(whole.Population()));
}

TEST(DescentTest, GradientsTakeTurnsWithTheBlocks) {
  SearchOptions options = Options();
  options.noise_blocks = 3;
  options.starts = 1;
  options.gradient_steps = 6;
  Descent descent(options, Steps());
  Play(descent, 1);
  std::vector<std::int64_t> blocks;
  for (const EvaluatedCandidate& member : descent.Population()) {
    if (member.candidate.wants_gradient) blocks.push_back(member.candidate.noise_block);
  }
  EXPECT_EQ(blocks, (std::vector<std::int64_t>{1, 2, 3, 1, 2, 3}));
}

// Slopes of 1, then of -1, in every s_j. With m = beta_1: m_2 = (m (1 - m) - (1 - m)) / (1 - m^2) = -(1 - m) / (1 + m).
TEST(DescentTest, MomentumIsAdamsFirstDecay) {
  for (const double momentum : {0.0, 0.5, 0.9}) {
    SearchOptions options = Options();
    options.starts = 1;
    options.gradient_steps = 2;
    options.momentum = momentum;
    Descent descent(options, Steps());
    PlayWith(
        descent,
        [](const Candidate& candidate) {
          Outcome outcome{.score = 10.0 - static_cast<double>(candidate.generation), .failure = {}, .seconds = {}};
          if (!candidate.wants_gradient) return outcome;
          for (std::size_t i = 0; i < kCheckpoints; ++i) {
            outcome.gradient.push_back((candidate.generation == 1 ? 1.0 : -1.0) * static_cast<double>(i));
          }
          return outcome;
        },
        1, kToTheEnd);
    std::vector<double> last;  // a_K = s_K of each point
    for (const EvaluatedCandidate& member : descent.Population()) {
      if (!member.candidate.ema_rate && (member.candidate.wants_gradient || member.candidate.generation == 3)) {
        last.push_back(member.candidate.coefficients.back());
      }
    }
    ASSERT_EQ(last.size(), 3u);
    EXPECT_NEAR(last[1] - last[0], -0.05, 1e-9);
    EXPECT_NEAR(last[2] - last[1], 0.05 * (1 - momentum) / (1 + momentum), 1e-9);
  }
}

TEST(DescentTest, OnlyEveryNthPointIsJudged) {
  SearchOptions options = Options();
  options.starts = 1;
  options.judge_every = 4;
  Descent descent(options, Steps());
  Play(descent, 1);
  std::vector<std::int64_t> gradients, scores;
  const auto population = descent.Population();
  for (const EvaluatedCandidate& member : population) {
    if (member.candidate.ema_rate) continue;
    (member.candidate.wants_gradient ? gradients : scores).push_back(member.candidate.generation - 1);
  }
  EXPECT_EQ(gradients.size(), 40u);
  EXPECT_EQ(scores, (std::vector<std::int64_t>{4, 8, 12, 16, 20, 24, 28, 32, 36, 40}));
  EXPECT_EQ(descent.planned_evaluations(), static_cast<std::int64_t>(population.size()));
  EXPECT_LT(*BestOf(population)->outcome.score, 0.02 * *BestOf(population, /*only_ema=*/true)->outcome.score);
}

TEST(DescentTest, MoreStepsContinueOneThatIsSeldomJudged) {
  SearchOptions options = Options();
  options.judge_every = 3;
  options.gradient_steps = 6;
  Descent first(options, Steps());
  Play(first, 1);
  options.gradient_steps = 12;
  Descent longer(options, Steps()), whole(options, Steps());
  longer.Restore(first.State());
  Play(longer, 1);
  Play(whole, 1);
  EXPECT_EQ(PopulationDigest(longer.Population()), PopulationDigest(whole.Population()));
  options.gradient_steps = 13;
  EXPECT_THROW(Descent(options, Steps()), ConfigError);
}

// A step so long that every point is worse: back to the best one, with half of it, three times.
TEST(DescentTest, EndsWhenNothingGetsBetter) {
  SearchOptions options = Options();
  options.starts = 1;
  options.learning_rate = 500;
  options.patience = 2;
  Descent descent(options, Steps());
  Play(descent, 1);
  const auto population = descent.Population();
  EXPECT_LT(population.size(), 30u);
  EXPECT_EQ(BestOf(population), BestOf(population, /*only_ema=*/true));
}

// The best point that it goes back to does not count against itself: each time so many new points follow.
TEST(DescentTest, HasAllItsPatienceAfterItWentBack) {
  SearchOptions options = Options();
  options.starts = 1;
  options.learning_rate = 500;
  for (const int patience : {1, 2, 3}) {
    options.patience = patience;
    Descent descent(options, Steps());
    Play(descent, 1);
    int worse = 0;
    for (const EvaluatedCandidate& member : descent.Population()) {
      worse += !member.candidate.wants_gradient && !member.candidate.ema_rate ? 1 : 0;
    }
    EXPECT_EQ(worse, 3 * patience);
  }
}

// Whatever the last step is, one that it goes back after included.
TEST(DescentTest, EndsAtItsLastStepWhateverThatIs) {
  SearchOptions options = Options();
  options.starts = 1;
  options.learning_rate = 500;
  options.patience = 2;
  for (options.gradient_steps = 0; options.gradient_steps < 12; ++options.gradient_steps) {
    Descent descent(options, Steps());
    Play(descent, 1);
    EXPECT_TRUE(descent.Finished()) << options.gradient_steps;
  }
}

TEST(DescentTest, FewerStepsEndWhatWentFurther) {
  SearchOptions options = Options();
  Descent whole(options, Steps());
  Play(whole, 1, 40);
  for (const int steps : {1, 3, 7, 8, 9, 20}) {
    options.gradient_steps = steps;
    Descent shorter(options, Steps());
    shorter.Restore(whole.State());
    Play(shorter, 2);
    EXPECT_TRUE(shorter.Finished());
    EXPECT_EQ(shorter.planned_evaluations(), static_cast<std::int64_t>(shorter.Population().size()));
  }
}

// The bottom of |a - b|^2 + r |a - a_start|^2 in a_2..a_K, where a_1 = 1 - (their sum) counts too.
double DistanceFromStart(double regularisation) {
  SearchOptions options = Options();
  options.regularisation = regularisation;
  options.starts = 1;
  options.gradient_steps = 400;
  options.patience = 1000;
  Descent descent(options, Steps());
  Play(descent, 1);
  const auto population = descent.Population();
  const Coefficients& start = BestOf(population, /*only_ema=*/true)->candidate.coefficients;
  const Coefficients& end = population.back().candidate.coefficients;
  double squares = 0;
  for (std::size_t i = 0; i < start.size(); ++i) squares += (end[i] - start[i]) * (end[i] - start[i]);
  return std::sqrt(squares);
}

TEST(DescentTest, RegularisationHoldsItBack) {
  const double free = DistanceFromStart(0), held = DistanceFromStart(1), fast = DistanceFromStart(1e3);
  EXPECT_GT(free, 0.5);
  EXPECT_LT(held, 0.7 * free);
  EXPECT_GT(held, 0.1 * free);
  EXPECT_LT(fast, 0.02 * free);
}

TEST(DescentTest, RefusesASteadyState) {
  SearchOptions options = Options();
  options.schedule = "steady-state";
  EXPECT_THROW(Descent(options, Steps()), ConfigError);
}

TEST(DescentTest, AFailedGradientSendsItBackAndNoScoreAtAllEndsTheSearch) {
  SearchOptions options = Options();
  options.starts = 1;
  Descent descent(options, Steps());
  while (!descent.Finished()) {
    const auto candidate = descent.Ask();
    Outcome outcome = Evaluate(*candidate);
    if (candidate->wants_gradient) outcome = {.score = {}, .failure = "non-finite gradient", .seconds = {}};
    descent.Tell(candidate->id, outcome);
  }
  EXPECT_EQ(descent.Population().size(), 3u + 1) << "without a gradient at its start it cannot begin";
  Descent hopeless(options, Steps());
  const auto tell_failures = [&] {
    for (int i = 0; i < 3; ++i) {
      hopeless.Tell(hopeless.Ask()->id, {.score = {}, .failure = "no", .seconds = {}});
    }
  };
  EXPECT_THROW(tell_failures(), InputError);
}

TEST(DescentTest, RefusesASavedCandidateOfOtherOptions) {
  Descent before(Options(), Steps());
  Play(before, 3, 20);
  SearchOptions options = Options();
  options.learning_rate = 0.04;
  Descent after(options, Steps());
  EXPECT_THROW(after.Restore(before.State()), InputError);
}

TEST(StrategyTest, IsTheOneThatTheOptionsName) {
  EXPECT_NE(dynamic_cast<Descent*>(MakeStrategy(Options(), Steps()).get()), nullptr);
  EXPECT_EQ(dynamic_cast<Descent*>(MakeStrategy({}, Steps()).get()), nullptr);
  EXPECT_TRUE(WantsGradients(Options()));
  EXPECT_FALSE(WantsGradients({}));
}

}  // namespace
}  // namespace lcsc
