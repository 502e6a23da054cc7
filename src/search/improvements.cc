#include "lcsc/search/improvements.h"

namespace lcsc {

std::vector<Improvement> ImprovementsOf(const std::vector<EvaluatedCandidate>& population) {
  std::vector<Improvement> improvements;
  std::int64_t evaluations = 0;
  for (const EvaluatedCandidate& member : population) {
    ++evaluations;
    if (member.candidate.wants_gradient || !member.outcome.score) continue;
    const bool is_better = improvements.empty() || *member.outcome.score < *improvements.back().member->outcome.score;
    if (is_better) improvements.push_back({evaluations, &member});
  }
  return improvements;
}

}  // namespace lcsc
