// Snapshots as a search would have them, for the tests of the run directory.
#pragma once

#include <gtest/gtest.h>

#include "lcsc/state/run_directory.h"

namespace lcsc {

inline EvaluatedCandidate Member(std::int64_t id) {
  EvaluatedCandidate member;
  member.candidate.id = id;
  member.candidate.generation = id < 2 ? 0 : 1;
  member.candidate.coefficients = {0.1 * static_cast<double>(id), 1 / 3.0, -1e-300};
  if (id < 2) member.candidate.ema_rate = 0.999;
  if (id >= 2) member.candidate.parents = {0, 1};
  if (id == 1) {
    member.outcome.failure = "non-finite images, \u00e9";
  } else {
    member.outcome.score = 1.0 / (static_cast<double>(id) + 3);
    member.outcome.metrics = {{"fid", 0.1 * static_cast<double>(id)}};
  }
  member.outcome.seconds.distance = 0.25;
  if (id == 3) {
    member.candidate.wants_gradient = true;
    member.candidate.noise_block = 2;
    member.outcome.gradient = {0, 1e-200, -2.5};
    member.outcome.seconds.project = 0.125;
  }
  return member;
}

inline PopulationSnapshot SnapshotOf(std::int64_t candidates) {
  PopulationSnapshot snapshot;
  snapshot.identity = {{"search.seed", "3"}, {"digest of evaluation.trajectory", "abc"}};
  snapshot.planned_evaluations = 50;
  snapshot.seconds = 12.5;
  for (std::int64_t id = 0; id < candidates; ++id) snapshot.population.push_back(Member(id));
  return snapshot;
}

inline void ExpectEqual(const EvaluatedCandidate& a, const EvaluatedCandidate& b) {
  EXPECT_EQ(a.candidate, b.candidate);
  EXPECT_EQ(a.outcome.score, b.outcome.score);
  EXPECT_EQ(a.outcome.failure, b.outcome.failure);
  EXPECT_EQ(a.outcome.metrics, b.outcome.metrics);
  EXPECT_EQ(a.outcome.seconds.distance, b.outcome.seconds.distance);
  EXPECT_EQ(a.outcome.seconds.project, b.outcome.seconds.project);
  EXPECT_EQ(a.outcome.gradient, b.outcome.gradient);
  EXPECT_EQ(a.order, b.order);
}

inline void ExpectEqual(const PopulationSnapshot& a, const PopulationSnapshot& b) {
  EXPECT_EQ(a.identity, b.identity);
  EXPECT_EQ(a.state, b.state);
  EXPECT_EQ(a.planned_evaluations, b.planned_evaluations);
  EXPECT_EQ(a.seconds, b.seconds);
  ASSERT_EQ(a.population.size(), b.population.size());
  for (std::size_t i = 0; i < a.population.size(); ++i) ExpectEqual(a.population[i], b.population[i]);
  EXPECT_EQ(a.in_flight, b.in_flight);
  EXPECT_EQ(a.accusations, b.accusations);
}

}  // namespace lcsc
