#include "lcsc/search/evolution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <random>
#include <set>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

constexpr std::size_t kNumCheckpoints = 6;

std::vector<std::int64_t> Steps() { return {10, 20, 30, 40, 50, 60}; }

SearchOptions SmallOptions() {
  SearchOptions options;
  options.epochs = 5;
  options.children = 7;
  options.max_parents = 4;
  options.mutation_std = 0.5;
  return options;
}

// Squared distance to a point that no EMA reaches.
double Score(const Coefficients& a) {
  const Coefficients target = {0.4, -0.5, 0.3, 0.2, 1.0, -0.4};
  double score = 0;
  for (std::size_t i = 0; i < a.size(); ++i) score += (a[i] - target[i]) * (a[i] - target[i]);
  return score;
}

Outcome Evaluate(const Candidate& candidate) {
  return {.score = Score(candidate.coefficients), .failure = "", .seconds = {}};
}

// Runs to the end with `in_flight` candidates out at once, answered in random order.
void RunSearch(Strategy& strategy, std::size_t in_flight = 1, std::uint32_t order_seed = 0,
               std::int64_t stop_after = -1) {
  std::mt19937 order(order_seed);
  std::vector<Candidate> out;
  for (std::int64_t told = 0; told != stop_after;) {
    while (out.size() < in_flight) {
      auto candidate = strategy.Ask();
      if (!candidate) break;
      out.push_back(*candidate);
    }
    if (out.empty()) return;
    std::swap(out[order() % out.size()], out.back());
    strategy.Tell(out.back().id, Evaluate(out.back()));
    out.pop_back();
    ++told;
  }
}

void ExpectSamePopulation(const Strategy& a, const Strategy& b) {
  const auto left = a.Population(), right = b.Population();
  ASSERT_EQ(left.size(), right.size());
  for (std::size_t i = 0; i < left.size(); ++i) {
    EXPECT_EQ(left[i].candidate, right[i].candidate);
    EXPECT_EQ(left[i].outcome.score, right[i].outcome.score);
  }
}

TEST(EvolutionTest, EvaluatesTheInitialPopulationAndEveryChild) {
  Evolution strategy(SmallOptions(), Steps());
  RunSearch(strategy);
  EXPECT_TRUE(strategy.Finished());
  EXPECT_EQ(strategy.planned_evaluations(), 13 + 5 * 7);
  EXPECT_EQ(strategy.Population().size(), 13u + 5 * 7);
}

TEST(EvolutionTest, OrderAndNumberInFlightDoNotChangeTheSearch) {
  Evolution one(SmallOptions(), Steps()), many(SmallOptions(), Steps());
  RunSearch(one);
  RunSearch(many, 16, 99);
  ExpectSamePopulation(one, many);
}

TEST(EvolutionTest, ResumedEqualsUninterrupted) {
  Evolution whole(SmallOptions(), Steps());
  RunSearch(whole);
  for (const std::int64_t stop_after : {0, 3, 13, 17, 20, 47}) {
    Evolution first(SmallOptions(), Steps()), second(SmallOptions(), Steps());
    RunSearch(first, 5, 7, stop_after);
    second.Restore(first.State());
    RunSearch(second, 3, 8);
    ExpectSamePopulation(whole, second);
  }
}

TEST(EvolutionTest, MoreEpochsContinueTheSameSearch) {
  SearchOptions longer = SmallOptions();
  longer.epochs = 9;
  Evolution whole(longer, Steps()), first(SmallOptions(), Steps()), second(longer, Steps());
  RunSearch(whole);
  RunSearch(first);
  second.Restore(first.State());
  RunSearch(second);
  ExpectSamePopulation(whole, second);
}

TEST(EvolutionTest, ParentsAreAmongTheBestOfEarlierGenerations) {
  Evolution strategy(SmallOptions(), Steps());
  RunSearch(strategy, 4, 1);
  const auto population = strategy.Population();
  for (const auto& member : population) {
    if (member.candidate.generation == 0) continue;
    std::vector<EvaluatedCandidate> earlier;
    for (const auto& other : population) {
      if (other.candidate.generation < member.candidate.generation) earlier.push_back(other);
    }
    std::sort(earlier.begin(), earlier.end(), RanksBefore);
    for (const std::int64_t parent : member.candidate.parents) {
      const bool among_best = std::any_of(earlier.begin(), earlier.begin() + 4,
                                          [&](const auto& other) { return other.candidate.id == parent; });
      EXPECT_TRUE(among_best) << "parent " << parent << " of " << member.candidate.id;
    }
  }
}

TEST(EvolutionTest, WithoutMutationChildrenAreMixesOfTheirParents) {
  SearchOptions options = SmallOptions();
  options.mutation_std = 0;
  Evolution strategy(options, Steps());
  RunSearch(strategy);
  const auto population = strategy.Population();
  bool both_parents_seen = false;
  for (const auto& member : population) {
    if (member.candidate.generation == 0) continue;
    const auto& father = population[static_cast<std::size_t>(member.candidate.parents[0])].candidate.coefficients;
    const auto& mother = population[static_cast<std::size_t>(member.candidate.parents[1])].candidate.coefficients;
    bool from_father = false, from_mother = false;
    for (std::size_t i = 1; i < kNumCheckpoints; ++i) {
      const double a = member.candidate.coefficients[i];
      EXPECT_TRUE(a == father[i] || a == mother[i]);
      if (father[i] != mother[i]) (a == father[i] ? from_father : from_mother) = true;
    }
    if (&father != &mother) both_parents_seen |= from_father && from_mother;
    if (&father == &mother) {
      EXPECT_EQ(member.candidate.coefficients, father);
    }
  }
  EXPECT_TRUE(both_parents_seen);
}

TEST(EvolutionTest, MutationNoiseHasTheStatedDeviation) {
  SearchOptions options = SmallOptions();
  options.crossover_rate = 0;
  options.children = 4000;
  options.epochs = 1;
  Evolution strategy(options, Steps());
  RunSearch(strategy);
  const auto population = strategy.Population();
  double sum = 0, sum_squares = 0, n = 0;
  for (const auto& member : population) {
    if (member.candidate.generation == 0) continue;
    EXPECT_EQ(member.candidate.parents[0], member.candidate.parents[1]);
    const auto& parent = population[static_cast<std::size_t>(member.candidate.parents[0])].candidate.coefficients;
    double total = 0;
    for (std::size_t i = 0; i < kNumCheckpoints; ++i) {
      const double noise = member.candidate.coefficients[i] - parent[i];
      total += noise;
      if (i == 0) continue;
      sum += noise;
      sum_squares += noise * noise;
      ++n;
    }
    EXPECT_NEAR(total, 0, 1e-12);
  }
  const double expected_std = 0.5 / std::sqrt(static_cast<double>(kNumCheckpoints));
  EXPECT_NEAR(sum / n, 0, 4 * expected_std / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(sum_squares / n), expected_std, 4 * expected_std / std::sqrt(2 * n));
}

TEST(EvolutionTest, MutationHalvesAsTheDecaySays) {
  SearchOptions options = SmallOptions();
  options.mutation_decay = 10;
  const Evolution strategy(options, Steps());
  EXPECT_DOUBLE_EQ(strategy.MutationStd(11), strategy.MutationStd(1) / 2);
}

TEST(EvolutionTest, ImprovesOnTheBestEma) {
  SearchOptions options = SmallOptions();
  options.epochs = 60;
  Evolution strategy(options, Steps());
  RunSearch(strategy);
  const auto population = strategy.Population();
  EXPECT_LT(*BestOf(population)->outcome.score, 0.5 * *BestOf(population, /*only_ema=*/true)->outcome.score);
}

TEST(EvolutionTest, AFailedCandidateIsNeverAParent) {
  Evolution strategy(SmallOptions(), Steps());
  while (auto candidate = strategy.Ask()) {
    EXPECT_NE(candidate->parents[0], 2);
    EXPECT_NE(candidate->parents[1], 2);
    strategy.Tell(candidate->id, candidate->id == 2
                                     ? Outcome{.score = {}, .failure = "non-finite images", .seconds = {}}
                                     : Evaluate(*candidate));
  }
  EXPECT_TRUE(strategy.Finished());
}

TEST(EvolutionTest, RefusesToGoOnWhenEveryInitialCandidateFailed) {
  Evolution strategy(SmallOptions(), Steps());
  const auto run = [&] {
    while (auto candidate = strategy.Ask()) {
      strategy.Tell(candidate->id, Outcome{.score = {}, .failure = "non-finite images", .seconds = {}});
    }
  };
  EXPECT_THROW(run(), InputError);
}

TEST(EvolutionTest, RefusesAPopulationOfOtherOptions) {
  Evolution first(SmallOptions(), Steps());
  RunSearch(first);
  SearchOptions other = SmallOptions();
  other.seed = 2;
  Evolution second(other, Steps());
  EXPECT_THROW(second.Restore(first.State()), InputError);
}

SearchOptions SteadyOptions() {
  SearchOptions options = SmallOptions();
  options.schedule = "steady-state";
  return options;
}

// A queue of `width` candidates, answered first in, first out: every state of it follows from the strategy's own.
void RunQueue(Strategy& strategy, std::size_t width, std::int64_t stop_after = -1) {
  std::deque<Candidate> queue;
  for (std::int64_t told = 0; told != stop_after; ++told) {
    while (queue.size() < width) {
      auto candidate = strategy.Ask();
      if (!candidate) break;
      queue.push_back(*candidate);
    }
    if (queue.empty()) return;
    strategy.Tell(queue.front().id, Evaluate(queue.front()));
    queue.pop_front();
  }
}

TEST(SteadyStateTest, EveryIdIsDrawnOnceAndCountsWhatItSaw) {
  Evolution strategy(SteadyOptions(), Steps());
  RunSearch(strategy, 9, 5);
  EXPECT_TRUE(strategy.Finished());
  const auto population = strategy.Population();
  ASSERT_EQ(population.size(), 13u + 5 * 7);
  std::set<std::int64_t> orders;
  for (std::size_t i = 0; i < population.size(); ++i) {
    const auto& [candidate, outcome, order] = population[i];
    EXPECT_EQ(candidate.id, static_cast<std::int64_t>(i));
    EXPECT_EQ(candidate.generation, i < 13 ? 0 : 1 + static_cast<std::int64_t>(i - 13) / 7);
    ASSERT_TRUE(candidate.seen && order);
    EXPECT_LE(*candidate.seen, *order);
    EXPECT_GE(*candidate.seen, static_cast<std::int64_t>(i) - 8) << "nine in flight: all but eight had been told";
    orders.insert(*order);
  }
  EXPECT_EQ(orders.size(), population.size());
  EXPECT_EQ(*orders.rbegin(), static_cast<std::int64_t>(population.size()) - 1);
}

// Independently of the strategy's own ranking: sorted from scratch for each candidate.
TEST(SteadyStateTest, ParentsAreTheBestOfWhatHadBeenSeen) {
  Evolution strategy(SteadyOptions(), Steps());
  RunSearch(strategy, 6, 3);
  const auto population = strategy.Population();
  bool later_than_a_generation = false;
  for (const auto& member : population) {
    if (member.candidate.generation == 0) continue;
    std::vector<EvaluatedCandidate> seen;
    for (const auto& other : population) {
      if (*other.order < *member.candidate.seen) seen.push_back(other);
    }
    std::sort(seen.begin(), seen.end(), RanksBefore);
    seen.resize(std::min<std::size_t>(seen.size(), 4));
    for (const std::int64_t parent : member.candidate.parents) {
      EXPECT_TRUE(
          std::any_of(seen.begin(), seen.end(), [&](const auto& other) { return other.candidate.id == parent; }))
          << parent << " of " << member.candidate.id;
      const auto& drawn_from = population[static_cast<std::size_t>(parent)].candidate;
      later_than_a_generation |= drawn_from.generation > 0 && drawn_from.generation == member.candidate.generation;
    }
  }
  EXPECT_TRUE(later_than_a_generation) << "no child had a parent of its own generation: there was a barrier";
}

TEST(SteadyStateTest, NoAskWaitsOnceThereIsAScore) {
  Evolution strategy(SteadyOptions(), Steps());
  for (int i = 0; i < 13; ++i) ASSERT_TRUE(strategy.Ask());
  EXPECT_FALSE(strategy.Ask());
  strategy.Tell(0, {.score = {}, .failure = "non-finite images", .seconds = {}});
  EXPECT_FALSE(strategy.Ask()) << "a failure is no parent";
  strategy.Tell(7, {.score = 1.5, .failure = "", .seconds = {}});
  for (std::int64_t id = 13; id < 13 + 5 * 7; ++id) {
    const auto child = strategy.Ask();
    ASSERT_TRUE(child);
    EXPECT_EQ(child->id, id);
    EXPECT_EQ(child->parents, (std::array<std::int64_t, 2>{7, 7}));
    EXPECT_EQ(child->seen, 2);
  }
  EXPECT_FALSE(strategy.Ask());
  EXPECT_FALSE(strategy.Finished());
}

TEST(SteadyStateTest, ResumedEqualsUninterruptedWithTheSameCandidatesInFlight) {
  Evolution whole(SteadyOptions(), Steps());
  RunQueue(whole, 5);
  EXPECT_TRUE(whole.Finished());
  for (const std::int64_t stop_after : {0, 1, 3, 12, 14, 30, 44, 47}) {
    Evolution first(SteadyOptions(), Steps()), second(SteadyOptions(), Steps());
    RunQueue(first, 5, stop_after);
    const SearchState saved = first.State();
    EXPECT_EQ(saved.in_flight.size(),
              stop_after == 0 ? 0u : std::min<std::size_t>(4, 48u - static_cast<std::size_t>(stop_after)));
    second.Restore(saved);
    Evolution asked(SteadyOptions(), Steps());
    asked.Restore(saved);
    for (const Candidate& expected : saved.in_flight) EXPECT_EQ(asked.Ask(), expected);
    RunQueue(second, 5);
    ExpectSamePopulation(whole, second);
    EXPECT_EQ(PopulationDigest(whole.Population()), PopulationDigest(second.Population()));
  }
}

TEST(SteadyStateTest, ADifferentOrderGivesADifferentSearchThatRestoresBitForBit) {
  Evolution one(SteadyOptions(), Steps()), other(SteadyOptions(), Steps());
  RunSearch(one, 6, 1);
  RunSearch(other, 6, 2);
  EXPECT_NE(PopulationDigest(one.Population()), PopulationDigest(other.Population()));
  Evolution again(SteadyOptions(), Steps());
  again.Restore(one.State());
  ExpectSamePopulation(one, again);
  EXPECT_TRUE(again.Finished());
}

TEST(SteadyStateTest, AnOrderThatCannotHaveBeenIsRefused) {
  Evolution first(SteadyOptions(), Steps());
  RunQueue(first, 5, 30);
  const SearchState saved = first.State();
  const auto refused = [](const SearchState& state) {
    Evolution second(SteadyOptions(), Steps());
    EXPECT_THROW(second.Restore(state), InputError);
  };
  SearchState damaged = saved;
  std::swap(damaged.population[3].order, damaged.population[20].order);
  refused(damaged);
  damaged = saved;
  damaged.population[20].candidate.seen = 3;
  refused(damaged);
  damaged = saved;
  damaged.population[20].candidate.coefficients[2] += 1e-6;
  refused(damaged);
  damaged = saved;
  damaged.population.erase(damaged.population.begin() + 10);
  refused(damaged);
  damaged = saved;
  damaged.in_flight.pop_back();
  damaged.in_flight.front().seen.reset();
  refused(damaged);
  Evolution generational(SmallOptions(), Steps());
  EXPECT_THROW(generational.Restore(saved), InputError);
}

TEST(SteadyStateTest, RefusesToGoOnWhenEveryInitialCandidateFailed) {
  Evolution strategy(SteadyOptions(), Steps());
  const auto run = [&] {
    while (auto candidate = strategy.Ask()) {
      strategy.Tell(candidate->id, Outcome{.score = {}, .failure = "non-finite images", .seconds = {}});
    }
  };
  EXPECT_THROW(run(), InputError);
}

}  // namespace
}  // namespace lcsc
