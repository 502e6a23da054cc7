#include "lcsc/state/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>
#include <thread>

#include "lcsc/base/error.h"
#include "lcsc/base/log.h"

namespace lcsc {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::size_t kMostHolderBytes = 4096;

std::string HostName() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::string OwnHolder() {
  const char* job = std::getenv("SLURM_JOB_ID");
  return json{
      {"host", HostName()}, {"pid", ::getpid()}, {"job", job == nullptr ? "" : job}, {"since", std::time(nullptr)}}
      .dump();
}

// Fields of a holder, whatever stands in the file.
json Parsed(const std::string& holder) {
  const json parsed = json::parse(holder, nullptr, /*allow_exceptions=*/false);
  return parsed.is_object() ? parsed : json::object();
}

std::string HostOf(const std::string& holder) {
  const json parsed = Parsed(holder);
  return parsed.contains("host") && parsed["host"].is_string() ? parsed["host"].get<std::string>() : "";
}

pid_t PidOf(const std::string& holder) {
  const json parsed = Parsed(holder);
  return parsed.contains("pid") && parsed["pid"].is_number_integer() ? parsed["pid"].get<pid_t>() : 0;
}

std::string TextOf(const std::string& holder) {
  const json parsed = Parsed(holder);
  const std::string job = parsed.contains("job") && parsed["job"].is_string() ? parsed["job"].get<std::string>() : "";
  return fmt::format("process {} on {}{}", PidOf(holder), HostOf(holder).empty() ? "an unknown host" : HostOf(holder),
                     job.empty() ? "" : ", Slurm job " + job);
}

std::int64_t ModifiedNs(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return 0;
  return status.st_mtim.tv_sec * std::int64_t{1000000000} + status.st_mtim.tv_nsec;
}

void SleepSeconds(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

}  // namespace

RunLock::RunLock(const fs::path& folder, const RunLockOptions& options)
    : path_(folder / "lock"), options_(options), own_(OwnHolder()) {
  try {
    Take();
  } catch (...) {
    if (fd_ >= 0) ::close(fd_);
    throw;
  }
}

RunLock::~RunLock() {
  if (Read() == own_ && ::unlink(path_.c_str()) != 0) {
    spdlog::warn("cannot remove {}: {}", path_.string(), std::strerror(errno));
  }
  ::close(fd_);
}

void RunLock::Open() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) {
    throw IoError("cannot write {}: {}; choose a run directory that can be written", path_.string(),
                  std::strerror(errno));
  }
}

// Whether the file that is open is still the one of that name: the holder before may have removed it.
bool RunLock::IsInPlace() const {
  struct stat opened {
  }, named{};
  return ::fstat(fd_, &opened) == 0 && ::stat(path_.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

// False where the file system has no flock.
bool RunLock::TryFlock() const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(options_.retry_s);
  while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return false;
    if (std::chrono::steady_clock::now() > deadline) Refuse(Read());
    SleepSeconds(options_.retry_s / 20);
  }
  return true;
}

void RunLock::Take() {
  bool flock_works = false;
  do {
    Open();
    flock_works = TryFlock();
  } while (!IsInPlace());
  RefuseLivingHolder(flock_works);
  Write(own_);
  if (!flock_works) {  // two that came at the same moment: the last to write has it
    spdlog::warn("{}: the file system has no locks; relying on signs of life", path_.string());
    SleepSeconds(options_.sign_of_life_s / 10);
    if (Read() != own_) Refuse(Read());
  }
  refreshed_ = std::chrono::steady_clock::now();
}

void RunLock::RefuseLivingHolder(bool flock_works) {
  const std::string holder = Read();
  if (holder.empty()) return;
  const bool here = HostOf(holder) == HostName();
  if (here && !flock_works && PidOf(holder) > 0 && ::kill(PidOf(holder), 0) == 0) Refuse(holder);
  if (!here && !HostOf(holder).empty()) {
    const std::int64_t before = ModifiedNs(fd_);
    const double age_s = static_cast<double>(std::time(nullptr)) - 1e-9 * static_cast<double>(before);
    const double dead_after_s = 3 * options_.sign_of_life_s;
    // Hosts' clocks may differ, so a young file is watched; not one that is older than clocks differ.
    if (age_s < 20 * dead_after_s) SleepSeconds(dead_after_s);
    if (ModifiedNs(fd_) != before) Refuse(holder);
  }
  spdlog::warn("{}: {} held the run and is gone; going on with it", path_.string(), TextOf(holder));
}

void RunLock::Refuse(const std::string& holder) const {
  throw ConfigError(
      "{} is in use by {}; wait for its end, stop it, or choose another run directory (`lcsc status {}` shows it)",
      path_.parent_path().string(), TextOf(holder), path_.parent_path().string());
}

std::string RunLock::Read() const {
  std::string holder(kMostHolderBytes, '\0');
  const ssize_t bytes = ::pread(fd_, holder.data(), holder.size(), 0);
  holder.resize(bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
  return holder;
}

void RunLock::Write(const std::string& holder) const {
  if (::ftruncate(fd_, 0) != 0 ||
      ::pwrite(fd_, holder.data(), holder.size(), 0) != static_cast<ssize_t>(holder.size())) {
    throw IoError("cannot write {}: {}; free some space or choose another run directory", path_.string(),
                  std::strerror(errno));
  }
}

void RunLock::Refresh() {
  const auto now = std::chrono::steady_clock::now();
  if (now - refreshed_ < std::chrono::duration<double>(options_.sign_of_life_s)) return;
  refreshed_ = now;
  ::futimens(fd_, nullptr);
}

}  // namespace lcsc
