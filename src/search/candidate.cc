#include "lcsc/search/candidate.h"

#include <limits>
#include <span>

#include "lcsc/base/digest.h"

namespace lcsc {

bool RanksBefore(const EvaluatedCandidate& a, const EvaluatedCandidate& b) {
  if (a.outcome.score.has_value() != b.outcome.score.has_value()) return a.outcome.score.has_value();
  if (a.outcome.score && *a.outcome.score != *b.outcome.score) return *a.outcome.score < *b.outcome.score;
  return a.candidate.id < b.candidate.id;
}

const EvaluatedCandidate* BestOf(const std::vector<EvaluatedCandidate>& population, bool only_ema) {
  const EvaluatedCandidate* best = nullptr;
  for (const EvaluatedCandidate& member : population) {
    if (!member.outcome.score || member.candidate.wants_gradient || (only_ema && !member.candidate.ema_rate)) continue;
    if (best == nullptr || RanksBefore(member, *best)) best = &member;
  }
  return best;
}

std::string PopulationDigest(const std::vector<EvaluatedCandidate>& population) {
  Digest digest;
  for (const auto& [candidate, outcome, order] : population) {
    const std::array<std::int64_t, 4> line = {candidate.id, candidate.generation, candidate.parents[0],
                                              candidate.parents[1]};
    digest.Update(std::as_bytes(std::span(line)));
    digest.Update(std::as_bytes(std::span(candidate.coefficients)));
    const double score = outcome.score.value_or(std::numeric_limits<double>::quiet_NaN());
    digest.Update(std::as_bytes(std::span(&score, 1)));
    digest.Update(std::as_bytes(std::span(outcome.gradient)));
  }
  return digest.Hex();
}

}  // namespace lcsc
