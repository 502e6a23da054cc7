#include "lcsc/state/run_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ranges>
#include <regex>
#include <set>

#include "lcsc/base/atomic_file.h"
#include "lcsc/base/error.h"
#include "lcsc/base/log.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

// Gives the file a second name, in place of whatever had it: at no moment is there none of that name.
void KeepAsPrevious(const fs::path& path, const fs::path& previous) {
  if (!fs::exists(path)) return;
  const fs::path temporary = previous.string() + ".tmp";
  std::error_code error;
  fs::remove(temporary, error);
  fs::create_hard_link(path, temporary, error);
  if (error && fs::copy_file(path, temporary, error)) SyncToDisk(temporary);  // not every file system has hard links
  if (!error) fs::rename(temporary, previous, error);
  if (error) throw IoError("cannot keep {} as {}: {}", path.string(), previous.string(), error.message());
}

// What a kill in the middle of a publish has left behind.
void RemoveLeftovers(const fs::path& folder) {
  static const std::regex kName(R"((config\.ini|population\.h5)\.tmp-\d+|(population\.prev\.h5|live\.json)\.tmp)");
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::error_code ignored;
    if (std::regex_match(entry.path().filename().string(), kName)) fs::remove(entry.path(), ignored);
  }
}

// A journal that is there and that this search did not make is another's.
void ClaimJournal(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd >= 0) {
    ::close(fd);
    return;
  }
  if (errno != EEXIST) throw IoError("cannot make {}: {}", path.string(), std::strerror(errno));
  throw ConfigError("{} is there already: another search has gone on with the run; this one ends and leaves it alone",
                    path.string());
}

}  // namespace

const char* RunStateName(RunState state) {
  switch (state) {
    case RunState::kRunning:
      return "running";
    case RunState::kInterrupted:
      return "interrupted";
    case RunState::kDone:
      return "done";
  }
  return "unknown";
}

RunDirectory RunDirectory::Create(const fs::path& folder) {
  CreateFolder(folder);
  RunDirectory directory(folder);
  directory.lock_ = std::make_unique<RunLock>(folder);
  RemoveLeftovers(folder);
  return directory;
}

RunDirectory RunDirectory::OpenExisting(const fs::path& folder) {
  RunDirectory directory(folder);
  if (!fs::exists(directory.population_path()) && !fs::exists(directory.previous_path())) {
    throw InputError("{}: expected a run directory with population.h5, found {}; give the folder of a search",
                     folder.string(), fs::exists(folder) ? "none in it" : "no such folder");
  }
  return directory;
}

fs::path RunDirectory::JournalPath(std::int64_t number) const {
  return folder_ / fmt::format("journal-{:08}.bin", number);
}

std::vector<std::int64_t> RunDirectory::JournalNumbers() const {
  static const std::regex kName(R"(journal-(\d{8,18})\.bin)");
  std::vector<std::int64_t> numbers;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    if (std::smatch match; std::regex_match(name, match, kName)) numbers.push_back(std::stoll(match[1]));
  }
  std::ranges::sort(numbers);
  return numbers;
}

std::optional<PopulationSnapshot> RunDirectory::ReadEitherSnapshot(std::string* damage) const {
  if (!fs::exists(population_path()) && !fs::exists(previous_path())) return std::nullopt;
  try {
    return ReadPopulation(population_path());
  } catch (const NewerVersionError&) {
    throw;
  } catch (const InputError& error) {
    *damage = error.what();
  }
  if (!fs::exists(previous_path())) {
    throw InputError("{}; there is no previous one: move the folder away to start anew", *damage);
  }
  try {
    return ReadPopulation(previous_path());
  } catch (const NewerVersionError&) {
    throw;
  } catch (const InputError& error) {
    throw InputError("{}, and {}; move the folder away to start anew", *damage, error.what());
  }
}

void RunDirectory::Replay(PopulationSnapshot& snapshot) const {
  std::set<std::int64_t> told, asked_for;
  for (const EvaluatedCandidate& member : snapshot.population) told.insert(member.candidate.id);
  for (const Candidate& candidate : snapshot.in_flight) asked_for.insert(candidate.id);
  const auto add = [&](JournalEntry& entry) {
    if (auto* member = std::get_if<EvaluatedCandidate>(&entry)) {
      if (!told.insert(member->candidate.id).second) return;
      if (member->candidate.seen) member->order = static_cast<std::int64_t>(snapshot.population.size());
      snapshot.population.push_back(std::move(*member));
      ++snapshot.journalled;
    } else if (auto* asked = std::get_if<Candidate>(&entry)) {
      // A search that was resumed asks again for what was in flight, and writes it down again.
      if (asked_for.insert(asked->id).second) snapshot.in_flight.push_back(std::move(*asked));
    } else {
      snapshot.accusations.push_back(std::get<Accusation>(entry));
    }
  };
  for (const std::int64_t number : JournalNumbers()) {
    if (number < snapshot.journal) continue;
    JournalContent journal = ReadJournal(JournalPath(number), number);
    std::ranges::for_each(journal.entries, add);
    if (journal.torn_bytes > 0) snapshot.torn_bytes += journal.torn_bytes;
  }
  std::ranges::sort(snapshot.population, {}, [](const EvaluatedCandidate& member) { return member.candidate.id; });
  std::erase_if(snapshot.in_flight, [&](const Candidate& candidate) { return told.contains(candidate.id); });
}

std::optional<PopulationSnapshot> RunDirectory::ReadSnapshot() const {
  std::string damage;
  auto snapshot = ReadEitherSnapshot(&damage);
  if (snapshot) Replay(*snapshot);
  return snapshot;
}

std::optional<PopulationSnapshot> RunDirectory::Recover() const {
  std::string damage;
  auto snapshot = ReadEitherSnapshot(&damage);
  if (!snapshot) return snapshot;
  Replay(*snapshot);
  if (!damage.empty()) {
    const fs::path aside = population_path().string() + ".damaged";
    spdlog::warn("{}; it is put aside as {}, and the search goes on from {} and the journal", damage, aside.string(),
                 previous_path().filename().string());
    if (fs::exists(population_path())) fs::rename(population_path(), aside);
  }
  if (snapshot->torn_bytes > 0) {
    spdlog::warn("{}: dropped {} bytes at the end of the journal that were cut off while they were written",
                 folder_.string(), snapshot->torn_bytes);
  }
  return snapshot;
}

std::int64_t RunDirectory::NextJournalNumber() const {
  std::int64_t last = 0;
  for (const fs::path& path : {population_path(), previous_path()}) {
    try {
      if (fs::exists(path)) last = std::max(last, ReadPopulation(path).journal);
    } catch (const InputError&) {
      continue;  // its journal, if it had one, is in the folder
    }
  }
  const std::vector<std::int64_t> numbers = JournalNumbers();
  return 1 + (numbers.empty() ? last : std::max(last, numbers.back()));
}

// The new journal is there before the snapshot that names it, and the old ones go after it, so that at every moment
// each of the two snapshots has all that followed it.
void RunDirectory::PublishSnapshot(const PopulationSnapshot& snapshot) {
  if (lock_) lock_->Confirm();
  const std::int64_t number = journal_number_ > 0 ? journal_number_ + 1 : NextJournalNumber();
  ClaimJournal(JournalPath(number));
  journal_number_ = number;  // used up, also when the snapshot cannot be written
  auto journal = std::make_unique<JournalWriter>(JournalPath(number), number);
  KeepAsPrevious(population_path(), previous_path());
  PopulationSnapshot numbered = snapshot;
  numbered.journal = number;
  PublishPopulation(population_path(), numbered);
  journal_ = std::move(journal);
  for (const std::int64_t old : JournalNumbers()) {
    std::error_code ignored;
    if (old < previous_number_) fs::remove(JournalPath(old), ignored);
  }
  previous_number_ = number;
}

void RunDirectory::Append(const JournalEntry& entry) {
  LCSC_CHECK(journal_ != nullptr);
  if (lock_) lock_->ConfirmIfDue();
  journal_->Append(entry);
}

void RunDirectory::SyncJournal() {
  LCSC_CHECK(journal_ != nullptr);
  journal_->Sync();
  if (lock_) lock_->ConfirmIfDue();
}

std::vector<CrashReport> RunDirectory::ReadCrashReports() const {
  static const std::regex kName(R"(crash-\d+\.txt)"), kLine(R"((-?\d{1,18}) ([^\n]{1,300})\n?)");
  std::vector<CrashReport> reports;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (!std::regex_match(entry.path().filename().string(), kName)) continue;
    std::ifstream file(entry.path());
    std::string line;
    std::getline(file, line);
    CrashReport report{.path = entry.path(), .accusation = {}};
    if (std::smatch match; std::regex_match(line, match, kLine) && match[1].str()[0] != '-') {
      report.accusation = Accusation{std::stoll(match[1]), match[2]};
    }
    reports.push_back(std::move(report));
  }
  std::ranges::sort(reports, {}, &CrashReport::path);
  return reports;
}

void RunDirectory::PublishConfig(const std::string& ini) const { PublishText(config_path(), ini); }

void RunDirectory::AppendMetrics(const std::string& json_line) {
  if (metrics_failed_) return;
  if (!metrics_.is_open()) metrics_.open(metrics_path(), std::ios::app);
  metrics_ << json_line << '\n';
  CheckMetrics();
}

void RunDirectory::FlushMetrics() {
  if (metrics_failed_ || !metrics_.is_open()) return;
  metrics_.flush();
  CheckMetrics();
}

void RunDirectory::CheckMetrics() {
  if (metrics_) return;
  metrics_failed_ = true;
  spdlog::warn("cannot append to {}; the search goes on without it", metrics_path().string());
}

void CheckSameIdentity(const RunIdentity& saved, const RunIdentity& present, const fs::path& folder) {
  const auto value_of = [](const RunIdentity& identity, const std::string& key) {
    const auto entry = identity.find(key);
    return entry == identity.end() ? std::string("absent") : "'" + entry->second + "'";
  };
  RunIdentity all = saved;
  all.insert(present.begin(), present.end());
  for (const auto& [key, value] : all) {
    const std::string before = value_of(saved, key), now = value_of(present, key);
    if (before == now) continue;
    throw ConfigError(
        "cannot resume {}: {} was {} when the run was started and is {} now, which makes scores incomparable; restore "
        "the "
        "old value or choose another run directory",
        folder.string(), key, before, now);
  }
}

}  // namespace lcsc
