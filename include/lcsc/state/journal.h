// journal-NNNNNNNN.bin: what a search learnt since the snapshot of that number, each outcome on the disk before the
// next candidate is asked for (docs/population.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "lcsc/search/candidate.h"

namespace lcsc {

// A candidate during whose evaluation a worker crashed or hung, and what happened.
struct Accusation {
  std::int64_t candidate_id = 0;
  std::string reason;
  bool operator==(const Accusation&) const = default;
};

// An outcome; a candidate that was asked for, where it cannot be drawn again; a candidate that ended its worker.
using JournalEntry = std::variant<EvaluatedCandidate, Candidate, Accusation>;

// Writes one journal. An EvaluatedCandidate's `order` is not kept: it is its place among the outcomes.
class JournalWriter {
 public:
  // Makes the file, whatever was there, and sees its name onto the disk. Throws IoError.
  JournalWriter(const std::filesystem::path& path, std::int64_t number);
  ~JournalWriter();
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  // On the disk after the next Sync; at once for other processes that read. Throws IoError; what was synced before
  // stays readable.
  void Append(const JournalEntry& entry);
  // fdatasync, when something was appended since. Throws IoError.
  void Sync();
  std::int64_t bytes() const { return bytes_; }

 private:
  void Write(const std::string& bytes);

  std::filesystem::path path_;
  int fd_ = -1;
  std::int64_t number_ = 0;
  std::int64_t num_records_ = 0;
  std::int64_t bytes_ = 0;
  bool is_dirty_ = false;
};

struct JournalContent {
  std::vector<JournalEntry> entries;
  std::int64_t torn_bytes = 0;  // behind the last whole record: an append that a kill or a full disk cut off
};

// The records up to the first that is not whole. Throws InputError when the header is not that of a journal of this
// number, or of a newer version; an empty file is an empty journal.
JournalContent ReadJournal(const std::filesystem::path& path, std::int64_t number);

}  // namespace lcsc
