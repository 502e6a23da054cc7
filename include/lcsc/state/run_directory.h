// The run directory: what a search knows, so that the same command goes on where it stopped.
//   config.ini            the resolved options, as --config reads them
//   population.h5         every candidate with its outcome, and what makes scores comparable (docs/population.md)
//   population.prev.h5    the snapshot before it
//   journal-NNNNNNNN.bin  what came after the snapshot of that number
//   lock                  who writes
//   crash-R.txt           what a worker that crashed said at last, until a resume has taken note
//   metrics.jsonl         one JSON object per outcome, for people and plots; never read back
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lcsc/base/error.h"
#include "lcsc/search/candidate.h"
#include "lcsc/state/journal.h"
#include "lcsc/state/run_lock.h"

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
  std::vector<Accusation> accusations;
  std::int64_t journal = 0;     // the number of the journal that follows it; set by Publish
  std::int64_t journalled = 0;  // outcomes that the journals added; set by Read
  std::int64_t torn_bytes = 0;  // at the ends of journals; set by Read
};

// A crash-R.txt, and what it says.
struct CrashReport {
  std::filesystem::path path;
  std::optional<Accusation> accusation;  // none: the crash was in no candidate's evaluation
};

// population.h5 alone. Throws InputError, and NewerVersionError; IoError.
PopulationSnapshot ReadPopulation(const std::filesystem::path& path);
void PublishPopulation(const std::filesystem::path& path, const PopulationSnapshot& snapshot);

class NewerVersionError : public InputError {
 public:
  using InputError::InputError;
};

class RunDirectory {
 public:
  // For the one who writes: makes the folder when it is absent, and holds it against others (state/run_lock.h). Throws
  // IoError, and ConfigError when another holds it. Removes what a kill in the middle of a publish has left.
  static RunDirectory Create(const std::filesystem::path& folder);
  // Throws InputError when the folder is absent or holds no population.
  static RunDirectory OpenExisting(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path config_path() const { return folder_ / "config.ini"; }
  std::filesystem::path population_path() const { return folder_ / "population.h5"; }
  std::filesystem::path previous_path() const { return folder_ / "population.prev.h5"; }
  std::filesystem::path metrics_path() const { return folder_ / "metrics.jsonl"; }

  // The snapshot and what the journals add to it. From a damaged snapshot it falls back to the previous one, and drops
  // what a kill cut off of a journal. nullopt: no snapshot yet. Throws InputError when no snapshot can be read, or one
  // is of a newer version. Only reads: others may do so while a search writes.
  std::optional<PopulationSnapshot> ReadSnapshot() const;
  // The same for the master: says what is damaged, and puts a damaged snapshot out of the way, as *.damaged.
  std::optional<PopulationSnapshot> Recover() const;

  // Atomic: the old snapshot or the new one is there, never half of one; the old one is kept as the previous. Begins a
  // new journal. Throws IoError, and ConfigError when another search has taken the folder over: nothing of its is
  // touched.
  void PublishSnapshot(const PopulationSnapshot& snapshot);
  // On the disk after SyncJournal. REQUIRES: PublishSnapshot was called before. Throws as PublishSnapshot does.
  void Append(const JournalEntry& entry);
  // Also looks whether the folder is still this search's: to be called often. Throws as PublishSnapshot does.
  void SyncJournal();
  std::int64_t journal_bytes() const { return journal_ ? journal_->bytes() : 0; }

  std::vector<CrashReport> ReadCrashReports() const;
  void PublishConfig(const std::string& ini) const;
  // Appends one line, which is on the disk after the next FlushMetrics, or before. A full disk is a warning, once: the
  // metrics are a convenience.
  void AppendMetrics(const std::string& json_line);
  void FlushMetrics();

 private:
  explicit RunDirectory(std::filesystem::path folder) : folder_(std::move(folder)) {}
  void CheckMetrics();
  std::filesystem::path JournalPath(std::int64_t number) const;
  std::vector<std::int64_t> JournalNumbers() const;  // of the files that are there, ascending
  // damage: what is wrong with the last snapshot, if it had to be the one before.
  std::optional<PopulationSnapshot> ReadEitherSnapshot(std::string* damage) const;
  void Replay(PopulationSnapshot& snapshot) const;
  std::int64_t NextJournalNumber() const;

  std::filesystem::path folder_;
  std::unique_ptr<RunLock> lock_;
  std::unique_ptr<JournalWriter> journal_;
  std::int64_t journal_number_ = 0,
               previous_number_ = 0;  // of the journals behind the last snapshot and the one before
  std::ofstream metrics_;
  bool metrics_failed_ = false;
};

// Throws ConfigError that names the first key whose value differs, and both values.
void CheckSameIdentity(const RunIdentity& saved, const RunIdentity& present, const std::filesystem::path& folder);

}  // namespace lcsc
