#include "lcsc/search/candidate.h"

namespace lcsc {

bool RanksBefore(const EvaluatedCandidate& a, const EvaluatedCandidate& b) {
  if (a.outcome.score.has_value() != b.outcome.score.has_value()) return a.outcome.score.has_value();
  if (a.outcome.score && *a.outcome.score != *b.outcome.score) return *a.outcome.score < *b.outcome.score;
  return a.candidate.id < b.candidate.id;
}

const EvaluatedCandidate* BestOf(const std::vector<EvaluatedCandidate>& population, bool only_ema) {
  const EvaluatedCandidate* best = nullptr;
  for (const EvaluatedCandidate& member : population) {
    if (!member.outcome.score || (only_ema && !member.candidate.ema_rate)) continue;
    if (best == nullptr || RanksBefore(member, *best)) best = &member;
  }
  return best;
}

}  // namespace lcsc
