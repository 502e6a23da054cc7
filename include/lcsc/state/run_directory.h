// The run directory: what a search knows, so that the same command goes on where it stopped.
//   config.ini      the resolved options, as --config reads them
//   population.h5   every candidate with its outcome, and what makes scores comparable (docs/population.md)
//   metrics.jsonl   one JSON object per outcome, for people and plots; never read back
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lcsc/search/candidate.h"

namespace lcsc {

// What makes scores comparable: option keys and the digests of the files, each with its value.
using RunIdentity = std::map<std::string, std::string>;

enum class RunState { kRunning, kInterrupted, kDone };
const char* RunStateName(RunState state);

struct PopulationSnapshot {
  RunIdentity identity;
  RunState state = RunState::kRunning;
  std::int64_t planned_evaluations = 0;
  double seconds = 0;          // wall time of all sessions so far
  double utilisation = 0;      // of the session that wrote it
  std::int64_t updated_s = 0;  // seconds since 1970; set by Publish
  std::vector<EvaluatedCandidate> population;
  std::vector<Candidate> in_flight;  // steady-state: asked for, not yet told
};

class RunDirectory {
 public:
  // Makes the folder when it is absent. Throws IoError.
  static RunDirectory Create(const std::filesystem::path& folder);
  // Throws InputError when the folder is absent or holds no population.
  static RunDirectory OpenExisting(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path config_path() const { return folder_ / "config.ini"; }
  std::filesystem::path population_path() const { return folder_ / "population.h5"; }
  std::filesystem::path metrics_path() const { return folder_ / "metrics.jsonl"; }

  // nullopt: no snapshot yet. Throws InputError when it is damaged or of an unknown version.
  std::optional<PopulationSnapshot> ReadSnapshot() const;
  // Atomic: the old snapshot or the new one is there, never half of one. Throws IoError.
  void PublishSnapshot(const PopulationSnapshot& snapshot) const;
  void PublishConfig(const std::string& ini) const;
  // Appends one line, which is on the disk after the next FlushMetrics, or before. A full disk is a warning, once: the
  // metrics are a convenience.
  void AppendMetrics(const std::string& json_line);
  void FlushMetrics();

 private:
  explicit RunDirectory(std::filesystem::path folder) : folder_(std::move(folder)) {}
  void CheckMetrics();

  std::filesystem::path folder_;
  std::ofstream metrics_;
  bool metrics_failed_ = false;
};

// Throws ConfigError that names the first key whose value differs, and both values.
void CheckSameIdentity(const RunIdentity& saved, const RunIdentity& present, const std::filesystem::path& folder);

}  // namespace lcsc
