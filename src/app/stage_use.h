// Where the time of a search's evaluations went.
#pragma once

#include <vector>

#include "lcsc/search/candidate.h"
#include "lcsc/service/stages.h"

namespace lcsc {

struct StageUse {
  Stage stage = Stage::kMerge;
  double median_s = 0;  // of the candidates that go through it
  double share = 0;     // of all stages' time
};
// Each stage that a candidate of the population goes through.
std::vector<StageUse> StageUses(const std::vector<EvaluatedCandidate>& population);

}  // namespace lcsc
