// The master's loop: strategy -> pool -> strategy, with the run directory kept up to date.
#pragma once

#include "lcsc/config/run_options.h"
#include "lcsc/search/strategy.h"
#include "lcsc/service/evaluation_pool.h"
#include "lcsc/state/run_directory.h"

namespace lcsc {

struct SearchSummary {
  bool interrupted = false;
  std::int64_t evaluations = 0;  // of the whole search, earlier sessions included
  double seconds = 0;            // likewise
  double utilisation = 0;        // of this session
  double stage_share = 0;        // likewise: EvaluationPool::StageShare
  std::int64_t session_evaluations = 0;
  double session_seconds = 0;
  std::vector<EvaluatedCandidate> population;
};

// Restores the strategy from the run directory's snapshot when there is one, then evaluates until the strategy has
// finished or a stop is requested (then in-flight evaluations are given up; they will be asked for again). A snapshot
// is published at least every snapshot_interval_s, and at the end. Shows a live line with evaluations, rate, ETA, best
// score, best EMA and utilisation, and keeps live.json. Throws LostRankError when a rank hangs.
//   directory: nullptr when nothing is to be kept.
SearchSummary RunSearch(Strategy& strategy, EvaluationPool& pool, RunDirectory* directory, const RunOptions& options,
                        const RunIdentity& identity);

}  // namespace lcsc
