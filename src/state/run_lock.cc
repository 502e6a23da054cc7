#include "lcsc/state/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>
#include <thread>

#include "lcsc/base/error.h"
#include "lcsc/base/log.h"
#include "lcsc/base/process.h"

namespace lcsc {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* kFileName = "lock";
constexpr std::size_t kMostHolderBytes = 4096;

double SteadySeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string OwnHolder() {
  const char* job = std::getenv("SLURM_JOB_ID");
  return json{{"host", HostName()},
              {"pid", ::getpid()},
              {"started", IdentifyProcess(::getpid()).started},
              {"job", job == nullptr ? "" : job},
              {"since", std::time(nullptr)}}
      .dump();
}

// Whatever stands in the file.
LockHolder Parsed(const std::string& holder) {
  const json parsed = json::parse(holder, nullptr, /*allow_exceptions=*/false);
  const auto text = [&](const char* key) {
    return parsed.contains(key) && parsed[key].is_string() ? parsed[key].get<std::string>() : "";
  };
  const auto number = [&](const char* key) {
    return parsed.contains(key) && parsed[key].is_number_integer() ? parsed[key].get<std::int64_t>() : 0;
  };
  return {.host = text("host"), .job = text("job"), .process = {.pid = number("pid"), .started = number("started")}};
}

std::string TextOf(const std::string& text) {
  const LockHolder holder = Parsed(text);
  return fmt::format("process {} on {}{}", holder.process.pid, holder.host.empty() ? "an unknown host" : holder.host,
                     holder.job.empty() ? "" : ", Slurm job " + holder.job);
}

struct FileNow {
  int error = 0;  // errno of opening or reading it
  std::string text;
  std::int64_t modified_ns = 0;
};

// The file as it is now, also to a client of a network file system that remembers an older one: it asks again when a
// file is opened.
FileNow ReadNow(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {.error = errno, .text = {}};
  FileNow file{.text = std::string(kMostHolderBytes, '\0')};
  struct stat status {};
  const ssize_t bytes = ::pread(fd, file.text.data(), file.text.size(), 0);
  if (bytes < 0 || ::fstat(fd, &status) != 0) file.error = errno;
  file.text.resize(file.error == 0 ? static_cast<std::size_t>(bytes) : 0);
  file.modified_ns = status.st_mtim.tv_sec * std::int64_t{1000000000} + status.st_mtim.tv_nsec;
  ::close(fd);
  return file;
}

double SecondsSince(std::int64_t modified_ns) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count() - 1e-9 * static_cast<double>(modified_ns);
}

void SleepSeconds(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

}  // namespace

std::optional<LockHolder> ReadLockHolder(const fs::path& folder) {
  const FileNow file = ReadNow(folder / kFileName);
  LockHolder holder = Parsed(file.text);
  if (holder.host.empty()) return std::nullopt;
  holder.silent_s = SecondsSince(file.modified_ns);
  return holder;
}

RunLock::RunLock(const fs::path& folder, const RunLockOptions& options)
    : path_(folder / kFileName), options_(options), own_(OwnHolder()) {
  try {
    Take();
    confirmed_s_ = SteadySeconds();
    thread_ = std::thread([this] { GiveSignsOfLife(); });
  } catch (...) {
    if (fd_ >= 0) ::close(fd_);
    throw;
  }
}

RunLock::~RunLock() {
  {
    const std::lock_guard lock(mutex_);
    is_ended_ = true;
  }
  ended_.notify_all();
  thread_.join();
  if (ReadNow(path_).text == own_ && ::unlink(path_.c_str()) != 0) {
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
    if (std::chrono::steady_clock::now() > deadline) Refuse(ReadNow(path_).text);
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
    if (ReadNow(path_).text != own_) Refuse(ReadNow(path_).text);
  }
}

void RunLock::RefuseLivingHolder(bool flock_works) {
  const FileNow before = ReadNow(path_);
  if (before.text.empty()) return;
  const LockHolder holder = Parsed(before.text);
  const bool here = holder.host == HostName();
  if (here && !flock_works && IsAlive(holder.process)) Refuse(before.text);
  if (!here && !holder.host.empty()) {
    const double dead_after_s = kMissedSignsOfLife * options_.sign_of_life_s;
    // Hosts' clocks may differ, so a young file is watched; not one that is older than clocks differ.
    if (SecondsSince(before.modified_ns) < 20 * dead_after_s) SleepSeconds(dead_after_s);
    if (ReadNow(path_).modified_ns != before.modified_ns) Refuse(before.text);
  }
  spdlog::warn("{}: {} held the run and is gone; going on with it", path_.string(), TextOf(before.text));
}

void RunLock::Refuse(const std::string& holder) const {
  throw ConfigError(
      "{} is in use by {}; wait for its end, stop it, or choose another run directory (`lcsc status {}` shows it)",
      path_.parent_path().string(), TextOf(holder), path_.parent_path().string());
}

void RunLock::Write(const std::string& holder) const {
  if (::ftruncate(fd_, 0) != 0 ||
      ::pwrite(fd_, holder.data(), holder.size(), 0) != static_cast<ssize_t>(holder.size()) || ::fsync(fd_) != 0) {
    throw IoError("cannot write {}: {}; free some space or choose another run directory", path_.string(),
                  std::strerror(errno));
  }
}

void RunLock::Confirm() {
  const double now_s = SteadySeconds();
  const FileNow file = ReadNow(path_);
  if (file.text == own_) {
    confirmed_s_ = now_s;
    return;
  }
  if (file.error != 0) {
    throw IoError("cannot read {}, without which another search could begin there: {}; run the same command again",
                  path_.string(), std::strerror(file.error));
  }
  throw ConfigError(
      "{} is no longer this search's but that of {}: this one had stopped for so long that it was taken for dead. It "
      "ends here; what it had written is kept; `lcsc status {}` shows the other",
      path_.string(), TextOf(file.text), path_.parent_path().string());
}

// Nobody takes a lock over so soon after a sign of life.
void RunLock::ConfirmIfDue() {
  if (SteadySeconds() - confirmed_s_ > (kMissedSignsOfLife - 1) * options_.sign_of_life_s) Confirm();
}

// What cannot be read or touched is left to Confirm. The file of another is not touched.
void RunLock::GiveSignsOfLife() {
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, std::chrono::duration<double>(options_.sign_of_life_s), [&] { return is_ended_; })) {
    lock.unlock();
    const double now_s = SteadySeconds();
    if (ReadNow(path_).text == own_ && ::utimensat(AT_FDCWD, path_.c_str(), nullptr, 0) == 0) confirmed_s_ = now_s;
    lock.lock();
  }
}

}  // namespace lcsc
