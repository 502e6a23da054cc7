// A candidate and what came of it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lcsc/search/coefficients.h"

namespace lcsc {

constexpr std::int64_t kNoParent = -1;

struct Candidate {
  std::int64_t id = 0;
  std::int64_t generation = 0;  // 0: the initial population; t: the children of epoch t
  Coefficients coefficients;
  std::array<std::int64_t, 2> parents = {kNoParent, kNoParent};  // ids; equal when one parent was taken whole
  std::optional<double> ema_rate = {};                           // of an initial candidate
  // Steady-state only: how many outcomes had been told when it was drawn.
  std::optional<std::int64_t> seen = {};
  // Which samples it is evaluated on: N behind N, block b has those from b N to (b + 1) N - 1. Scores of different
  // blocks differ by the noise.
  std::int64_t noise_block = 0;
  bool wants_gradient = false;  // a step of a descent, on noise that no result is chosen by
  // By the number of samples drawn: the score of them above which the rest is not worth drawing (search/race.h).
  std::map<std::int64_t, double> bars = {};

  bool operator==(const Candidate&) const = default;
};

// Seconds that the stages of one evaluation took on the group's leader.
struct StageSeconds {
  double merge = 0, gather = 0, sample = 0, features = 0, reduce = 0, distance = 0;
  double backward = 0, project = 0;  // of a gradient
  // What no other stage can hide: images are drawn and looked at.
  double measuring() const { return sample + features + backward; }
  double total() const { return merge + gather + sample + features + reduce + distance + backward + project; }
};

// A score, or why there is none.
struct Outcome {
  std::optional<double> score;  // finite; smaller is better
  std::string failure;          // without a score: why, or empty when a race was lost (search/race.h)
  StageSeconds seconds;
  // What the score was made of, by name ("fid", "inception_score_std"); empty where it is not known.
  std::map<std::string, double> metrics = {};
  // [K]: d score / d a_i, i >= 2, and 0 for the implied a_1. Empty unless it was wanted and there is a score.
  std::vector<double> gradient = {};
};

struct EvaluatedCandidate {
  Candidate candidate;
  Outcome outcome;
  // Steady-state only: how many outcomes were told before this one.
  std::optional<std::int64_t> order = {};
};

// Whether `a` ranks before `b`: smaller score first, failures last, then the smaller id.
bool RanksBefore(const EvaluatedCandidate& a, const EvaluatedCandidate& b);

// The best of those that have a score, or nullptr; with only_ema, among the initial EMA candidates. Steps of a descent
// are on other noise and do not count.
const EvaluatedCandidate* BestOf(const std::vector<EvaluatedCandidate>& population, bool only_ema = false);

// A digest of ids, generations, parents, coefficients and scores, every bit of them: two searches that did the same
// have the same, whatever ranks they had and however long it took.
std::string PopulationDigest(const std::vector<EvaluatedCandidate>& population);

}  // namespace lcsc
