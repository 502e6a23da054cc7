// What all strategies keep to, whatever they do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "lcsc/base/error.h"
#include "lcsc/search/cma_es.h"
#include "lcsc/search/hybrid.h"
#include "lcsc/search/race.h"
#include "search/play.h"

namespace lcsc {
namespace {

constexpr std::size_t kCheckpoints = 6;

std::vector<std::int64_t> Steps() { return {10, 20, 30, 40, 50, 60}; }

struct Case {
  const char* name;
  const char* strategy;
  const char* racing = "off";
  std::int64_t judge_every = 1;
};

SearchOptions OptionsOf(const Case& tested) {
  SearchOptions options;
  options.strategy = tested.strategy;
  options.racing = tested.racing;
  options.ema_rates = {0, 0.9, 0.97, 0.99, 0.995, 0.999};
  options.epochs = 12;
  options.children = 8;
  options.max_parents = 5;
  options.mutation_std = 0.3;
  options.gradient_steps = 6;
  options.learning_rate = 0.1;
  options.starts = 2;
  if (tested.judge_every > 1) {  // and so long steps that descents go back
    options.judge_every = tested.judge_every;
    options.learning_rate = 3;
    options.patience = 1;
    options.gradient_steps = 12;
  }
  return options;
}

// A bowl whose bottom no EMA reaches. The first samples see it a little moved, and shallow parts of it are stopped
// where the candidate's bar says so.
Outcome Evaluate(const Candidate& candidate) {
  const Coefficients bottom = {0.4, -0.5, 0.3, 0.2, 1.0, -0.4};
  const auto score_at = [&](double moved) {
    double score = 1;
    for (std::size_t i = 1; i < kCheckpoints; ++i) {
      const double off = candidate.coefficients[i] - bottom[i] - moved * static_cast<double>(i % 2);
      score += off * off;
    }
    return score;
  };
  Outcome outcome{.score = score_at(0), .failure = {}, .seconds = {}};
  if (candidate.wants_gradient) {
    for (std::size_t i = 0; i < kCheckpoints; ++i) {
      outcome.gradient.push_back(i == 0 ? 0 : 2 * (candidate.coefficients[i] - bottom[i]));
    }
    return outcome;
  }
  for (const std::int64_t num_samples : {125, 250, 500}) {
    const double partial = 3 + score_at(1.0 / static_cast<double>(num_samples));
    outcome.metrics[LookName(num_samples)] = partial;
    const auto bar = candidate.bars.find(num_samples);
    if (bar == candidate.bars.end() || partial <= bar->second) continue;
    outcome.score.reset();
    return outcome;
  }
  return outcome;
}

// `failing`: every so many-th child fails.
void Play(Strategy& strategy, std::uint64_t seed, std::int64_t most = kToTheEnd, std::int64_t failing = -1) {
  const auto evaluate = [&](const Candidate& candidate) {
    if (failing > 0 && candidate.id > 12 && candidate.id % failing == 0) {
      return Outcome{.score = {}, .failure = "broken", .seconds = {}};
    }
    return Evaluate(candidate);
  };
  PlayWith(strategy, evaluate, seed, most);
}

class EveryStrategyTest : public ::testing::TestWithParam<Case> {
 protected:
  std::unique_ptr<Strategy> Make() const { return MakeStrategy(options_, Steps()); }
  std::string DigestOf(const Strategy& strategy) const { return PopulationDigest(strategy.Population()); }

  SearchOptions options_ = OptionsOf(GetParam());
};

TEST_P(EveryStrategyTest, FindsWhatNoEmaIs) {
  const auto strategy = Make();
  Play(*strategy, 1);
  const auto population = strategy->Population();
  const double best = *BestOf(population)->outcome.score, ema = *BestOf(population, /*only_ema=*/true)->outcome.score;
  EXPECT_LT(best - 1, 0.5 * (ema - 1)) << GetParam().name;
  for (const EvaluatedCandidate& member : population) {
    const Coefficients& a = member.candidate.coefficients;
    EXPECT_NEAR(std::accumulate(a.begin(), a.end(), 0.0), 1, 1e-12);
  }
  EXPECT_EQ(strategy->planned_evaluations(), static_cast<std::int64_t>(population.size()));
  EXPECT_FALSE(strategy->Ask());
}

TEST_P(EveryStrategyTest, TheOrderOfTheOutcomesChangesNothing) {
  const auto one = Make(), other = Make();
  Play(*one, 1);
  Play(*other, 2);
  EXPECT_EQ(DigestOf(*one), DigestOf(*other));
}

TEST_P(EveryStrategyTest, GoesOnFromAnyMomentAsIfNothingHadHappened) {
  const auto whole = Make();
  Play(*whole, 1);
  const auto num_evaluations = static_cast<std::int64_t>(whole->Population().size());
  for (std::int64_t told = 0; told <= num_evaluations; told += 3) {
    const auto first = Make(), second = Make();
    Play(*first, static_cast<std::uint64_t>(told), told);
    second->Restore(first->State());
    EXPECT_EQ(DigestOf(*first), DigestOf(*second));
    Play(*second, 7);
    EXPECT_EQ(DigestOf(*second), DigestOf(*whole)) << "after " << told;
  }
}

// All but gradient, which has no generations.
using GenerationsTest = EveryStrategyTest;

TEST_P(GenerationsTest, MoreOfThemContinueAFinishedSearchAndFewerKeepWhatWasDone) {
  const auto first = Make();
  Play(*first, 1);
  options_.epochs = 15;
  const auto longer = Make(), whole = Make();
  longer->Restore(first->State());
  EXPECT_FALSE(longer->Finished());
  Play(*longer, 2);
  Play(*whole, 3);
  EXPECT_EQ(DigestOf(*longer), DigestOf(*whole));
  options_.epochs = 4;
  const auto shorter = Make();
  shorter->Restore(first->State());
  EXPECT_TRUE(shorter->Finished());
  EXPECT_FALSE(shorter->Ask());
  EXPECT_EQ(DigestOf(*shorter), DigestOf(*first));
}

TEST_P(EveryStrategyTest, SurvivesCandidatesThatFail) {
  const auto strategy = Make();
  Play(*strategy, 1, kToTheEnd, /*failing=*/5);
  EXPECT_TRUE(strategy->Finished());
  const auto again = Make();
  again->Restore(strategy->State());
  EXPECT_TRUE(again->Finished());
  EXPECT_EQ(DigestOf(*again), DigestOf(*strategy));
}

TEST_P(EveryStrategyTest, GoesOnAsItWouldWhenSomeHaveFailed) {
  constexpr std::int64_t kFailing = 5;
  const auto whole = Make();
  Play(*whole, 1, kToTheEnd, kFailing);
  const auto num_evaluations = static_cast<std::int64_t>(whole->Population().size());
  for (std::int64_t told = 0; told <= num_evaluations; told += 7) {
    const auto first = Make(), second = Make();
    Play(*first, static_cast<std::uint64_t>(told), told, kFailing);
    second->Restore(first->State());
    Play(*second, 3, kToTheEnd, kFailing);
    EXPECT_EQ(DigestOf(*second), DigestOf(*whole)) << "after " << told;
  }
}

TEST_P(EveryStrategyTest, RefusesACandidateThatItWouldNotDraw) {
  const auto first = Make();
  Play(*first, 1, 30);
  SearchState state = first->State();
  state.population.back().candidate.coefficients.at(2) += 0.01;
  EXPECT_THROW(Make()->Restore(state), InputError);
}

const auto kWithGenerations =
    testing::Values(Case{"Evolution", "evolution"}, Case{"Hybrid", "hybrid"}, Case{"CmaEs", "cma-es"},
                    Case{"RacingEvolution", "evolution", "parents"}, Case{"RacingHybrid", "hybrid", "parents"},
                    Case{"RacingForBest", "evolution", "best"}, Case{"RacingHybridForBest", "hybrid", "best"});
const auto kName = [](const auto& tested) { return std::string(tested.param.name); };
INSTANTIATE_TEST_SUITE_P(Strategies, EveryStrategyTest, kWithGenerations, kName);
INSTANTIATE_TEST_SUITE_P(Descents, EveryStrategyTest,
                         testing::Values(Case{"Gradient", "gradient"}, Case{"SeldomJudged", "gradient", "off", 3}),
                         kName);
INSTANTIATE_TEST_SUITE_P(Strategies, GenerationsTest, kWithGenerations, kName);

// And none of them is lost on the way through a saved state.
TEST(RestrictionTest, ChildrenStayWhereTheyMay) {
  for (const std::string name : {"convex", "clip"}) {
    SearchOptions options = OptionsOf({"Evolution", "evolution"});
    options.restriction = name;
    options.mutation_std = 3;
    const auto strategy = MakeStrategy(options, Steps());
    Play(*strategy, 1);
    for (const EvaluatedCandidate& member : strategy->Population()) {
      const Coefficients& a = member.candidate.coefficients;
      EXPECT_NEAR(std::accumulate(a.begin(), a.end(), 0.0), 1, 1e-12);
      for (std::size_t i = 1; i < a.size(); ++i) EXPECT_LE(a[i], 1);
      const double least = name == "convex" ? 0 : -INFINITY;
      EXPECT_GE(*std::ranges::min_element(a), least);
    }
    const auto again = MakeStrategy(options, Steps());
    again->Restore(strategy->State());
    EXPECT_EQ(PopulationDigest(again->Population()), PopulationDigest(strategy->Population()));
    options.strategy = "cma-es";
    EXPECT_THROW(MakeStrategy(options, Steps()), ConfigError);
  }
}

TEST(HybridTest, EvolutionBeginsWhereTheDescentWas) {
  Hybrid hybrid(OptionsOf({"Hybrid", "hybrid"}), Steps());
  Play(hybrid, 1);
  double best_of_descent = 1e9, best_child = 1e9;
  for (const EvaluatedCandidate& member : hybrid.Population()) {
    if (member.candidate.wants_gradient || !member.outcome.score) continue;
    double& best = member.candidate.id < 6 + 2 * 7 * 2 ? best_of_descent : best_child;
    best = std::min(best, *member.outcome.score);
  }
  EXPECT_LT(best_child, best_of_descent);
}

TEST(HybridTest, RefusesOtherStepsThanItBeganWith) {
  SearchOptions options = OptionsOf({"Hybrid", "hybrid"});
  Hybrid hybrid(options, Steps());
  Play(hybrid, 1);
  options.gradient_steps = 9;
  EXPECT_THROW(Hybrid(options, Steps()).Restore(hybrid.State()), InputError);
}

TEST(CmaEsTest, TheSeedChangesTheSearch) {
  SearchOptions options = OptionsOf({"CmaEs", "cma-es"});
  CmaEs one(options, Steps());
  options.seed = 2;
  CmaEs other(options, Steps());
  Play(one, 1);
  Play(other, 1);
  EXPECT_NE(PopulationDigest(one.Population()), PopulationDigest(other.Population()));
}

TEST(CmaEsTest, RefusesWhatItCannotDo) {
  SearchOptions options = OptionsOf({"CmaEs", "cma-es"});
  options.children = 4;
  EXPECT_THROW(CmaEs(options, Steps()), ConfigError);
  options = OptionsOf({"CmaEs", "cma-es"});
  options.schedule = "steady-state";
  EXPECT_THROW(CmaEs(options, Steps()), ConfigError);
  options = OptionsOf({"CmaEs", "cma-es", "best"});
  EXPECT_THROW(MakeStrategy(options, Steps()), ConfigError);
}

// The best of the whole search and of the race are the same where no stop was wrong.
TEST(RacingTest, SavesSamplesAndKeepsTheBest) {
  SearchOptions options = OptionsOf({"Evolution", "evolution", "parents"});
  options.epochs = 40;
  const auto racing = MakeStrategy(options, Steps());
  options.racing = "off";
  const auto whole = MakeStrategy(options, Steps());
  Play(*racing, 1);
  Play(*whole, 1);
  const auto population = racing->Population();
  std::int64_t drawn = 0, stopped = 0;
  for (const EvaluatedCandidate& member : population) {
    drawn += SamplesDrawn(member.outcome, 1000);
    stopped += IsStopped(member.outcome);
  }
  EXPECT_GT(stopped, 50);
  EXPECT_LT(drawn, 1000 * static_cast<std::int64_t>(population.size()) * 3 / 4);
  const auto expected = whole->Population();
  ASSERT_EQ(population.size(), expected.size());
  for (std::size_t i = 0; i < population.size(); ++i) {
    EXPECT_EQ(population[i].candidate.coefficients, expected[i].candidate.coefficients);
  }
  EXPECT_EQ(BestOf(population)->candidate.id, BestOf(expected)->candidate.id);
}

TEST(RacingTest, OneChildInTenHasNoBar) {
  SearchOptions options = OptionsOf({"Evolution", "evolution", "best"});
  const auto strategy = MakeStrategy(options, Steps());
  Play(*strategy, 1);
  int controls = 0, racers = 0;
  for (const auto& [candidate, outcome, order] : strategy->Population()) {
    if (candidate.generation < 2) continue;
    const bool is_control = (candidate.id - 6) % 10 == 0;
    EXPECT_EQ(candidate.bars.empty(), is_control) << candidate.id;
    ++(is_control ? controls : racers);
  }
  EXPECT_GE(controls, 8);
  EXPECT_GE(racers, 70);
}

TEST(RacingTest, ForTheBestNeedsGenerations) {
  SearchOptions options = OptionsOf({"Evolution", "evolution", "best"});
  options.schedule = "steady-state";
  EXPECT_THROW(MakeStrategy(options, Steps()), ConfigError);
}

TEST(RacingTest, AStoppedChildIsNoParentWithoutGenerationsEither) {
  SearchOptions options = OptionsOf({"Evolution", "evolution", "parents"});
  options.schedule = "steady-state";
  const auto strategy = MakeStrategy(options, Steps());
  while (const auto candidate = strategy->Ask()) strategy->Tell(candidate->id, Evaluate(*candidate));
  std::set<std::int64_t> stopped;
  for (const auto& [candidate, outcome, order] : strategy->Population()) {
    for (const std::int64_t parent : candidate.parents) EXPECT_FALSE(stopped.contains(parent)) << candidate.id;
    if (IsStopped(outcome)) stopped.insert(candidate.id);
  }
  EXPECT_GT(stopped.size(), 0u);
}

// A stopped one is a parent where its estimate puts it, so that the search goes on as well with fewer samples.
TEST(RacingTest, ForTheBestSavesMoreAndFindsAsGood) {
  SearchOptions options = OptionsOf({"Evolution", "evolution"});
  options.epochs = 40;
  std::map<std::string, double> score, drawn;
  for (const char* racing : {"off", "parents", "best"}) {
    options.racing = racing;
    const auto strategy = MakeStrategy(options, Steps());
    Play(*strategy, 1);
    const auto population = strategy->Population();
    score[racing] = *BestOf(population)->outcome.score;
    for (const EvaluatedCandidate& member : population) drawn[racing] += SamplesDrawn(member.outcome, 1000);
  }
  EXPECT_LT(drawn["best"], 0.5 * drawn["off"]);
  EXPECT_LT(drawn["best"], drawn["parents"]);
  EXPECT_LT(score["best"], 1.05 * score["off"]);
}

}  // namespace
}  // namespace lcsc
