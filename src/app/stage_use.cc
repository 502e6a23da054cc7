#include "app/stage_use.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace lcsc {

std::vector<StageUse> StageUses(const std::vector<EvaluatedCandidate>& population) {
  double total = 0;
  std::map<Stage, std::vector<double>> seconds;
  for (const EvaluatedCandidate& member : population) {
    for (const Stage stage : kStages) {
      if (stage >= Stage::kBackward && !member.candidate.wants_gradient) continue;
      seconds[stage].push_back(SecondsOf(stage, member.outcome.seconds));
    }
    total += member.outcome.seconds.total();
  }
  std::vector<StageUse> uses;
  for (auto& [stage, values] : seconds) {
    const double sum = std::accumulate(values.begin(), values.end(), 0.0);
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    uses.push_back({stage, *middle, total > 0 ? sum / total : 0});
  }
  return uses;
}

}  // namespace lcsc
