#include "lcsc/state/run_directory.h"

#include "lcsc/base/atomic_file.h"
#include "lcsc/base/error.h"
#include "lcsc/base/log.h"

namespace lcsc {
namespace fs = std::filesystem;

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
  return RunDirectory(folder);
}

RunDirectory RunDirectory::OpenExisting(const fs::path& folder) {
  RunDirectory directory(folder);
  if (!fs::exists(directory.population_path())) {
    throw InputError("{}: expected a run directory with population.h5, found {}; give the folder of a search",
                     folder.string(), fs::exists(folder) ? "none in it" : "no such folder");
  }
  return directory;
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
