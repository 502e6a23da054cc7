// What a run directory says of its search, for `lcsc report`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "app/baselines_file.h"
#include "lcsc/config/evaluation_options.h"
#include "lcsc/config/search_options.h"
#include "lcsc/state/run_directory.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {

// metrics.jsonl: when each candidate's outcome came.
struct OutcomeTimes {
  std::map<std::int64_t, double> told_s;  // by candidate, wall seconds of all sessions
  std::int64_t unreadable_lines = 0;      // a kill cuts the last one off
};

struct LandscapeFacts {
  std::string png;                                         // the file's bytes
  std::vector<std::pair<std::string, std::string>> facts;  // what landscape.json says in single words and numbers
};

struct ReportFacts {
  std::filesystem::path folder;
  PopulationSnapshot snapshot;
  std::string headline;  // whether it runs, and where
  EvaluationOptions evaluation;
  SearchOptions search;
  std::string config;  // the text of config.ini
  OutcomeTimes times;
  std::optional<Trajectory> trajectory;  // none when it cannot be read any more
  std::string no_trajectory;             // then: why
  std::optional<Baselines> baselines;
  std::optional<LandscapeFacts> landscape;

  // Of the population; nullptr when none has a score.
  const EvaluatedCandidate* best() const { return BestOf(snapshot.population); }
  const EvaluatedCandidate* best_ema() const { return BestOf(snapshot.population, /*only_ema=*/true); }
};

OutcomeTimes ReadOutcomeTimes(const std::filesystem::path& metrics_jsonl);
// landscape.png and landscape.json; nullopt without the image. Throws InputError when one of them is damaged.
std::optional<LandscapeFacts> ReadLandscape(const std::filesystem::path& folder);

// Everything but `evaluation` and `search`, which config.ini says, into `facts`. Only reads. Throws InputError.
//   facts: its folder and evaluation are set.
void ReadRun(ReportFacts& facts);

}  // namespace lcsc
