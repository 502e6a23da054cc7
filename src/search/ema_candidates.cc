#include "ema_candidates.h"

#include <algorithm>

#include "lcsc/base/error.h"

namespace lcsc {

EmaCandidates::EmaCandidates(const SearchOptions& options, std::vector<std::int64_t> steps)
    : steps_(std::move(steps)), rates_(options.ema_rates.empty() ? DefaultEmaRates(steps_) : options.ema_rates) {
  LCSC_CHECK(steps_.size() >= 2);
  for (const double rate : rates_) {
    if (rate >= 1) throw ConfigError("search.ema_rates: expected rates in [0, 1), found {}", rate);
  }
}

Candidate EmaCandidates::At(std::int64_t id) const {
  const double rate = rates_.at(static_cast<std::size_t>(id));
  return {.id = id, .coefficients = EmaCoefficients(rate, steps_), .ema_rate = rate};
}

std::vector<const EvaluatedCandidate*> RankInitial(const std::map<std::int64_t, EvaluatedCandidate>& told) {
  std::vector<const EvaluatedCandidate*> ranking;
  for (const auto& [id, member] : told) {
    if (member.outcome.score) ranking.push_back(&member);
  }
  if (ranking.empty()) {
    throw InputError("none of the {} initial candidates has a score; the first failed with: {}", told.size(),
                     told.begin()->second.outcome.failure);
  }
  std::ranges::sort(ranking, [](const auto* a, const auto* b) { return RanksBefore(*a, *b); });
  return ranking;
}

}  // namespace lcsc
