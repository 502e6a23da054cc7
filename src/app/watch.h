// The live table of `lcsc status --watch`.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "app/live_view.h"

namespace lcsc {

// One block character for each value, the lowest as the lowest block. Values are finite.
std::string Sparkline(const std::vector<double>& values);

// The best score after `points` equal shares of the evaluations; curve: as LiveView has it. Empty for an empty curve.
std::vector<double> CurvePoints(const std::vector<std::pair<std::int64_t, double>>& curve, std::int64_t evaluations,
                                std::size_t points);

// What --watch shows at one moment. most_ranks: rows of ranks, the rest are counted.
std::string WatchText(const std::string& headline, const LiveView& view, std::size_t most_ranks);

struct WatchOptions {
  std::string run;
  double interval_s = 2;
  bool json = false;  // a JSON object in a line instead of the table
};

// Shows the run every interval until its search has ended: redrawn in place on a terminal, one block below the other
// elsewhere. Only reads. Throws InputError when there is no such folder, or its snapshot is damaged.
void WatchRun(const WatchOptions& options);

}  // namespace lcsc
