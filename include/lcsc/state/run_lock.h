// One master for a run directory. The lock is flock's on the file `lock`, and what stands in it: who holds it. Where
// flock does not work, or not between hosts, a holder that gives a sign of life is respected all the same.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

namespace lcsc {

struct RunLockOptions {
  double retry_s = 2;         // how long a holder on this host may take to end
  double sign_of_life_s = 5;  // a holder touches the file that often; one that did not for three times as long is dead
};

class RunLock {
 public:
  // Takes the lock, and over one that its holder left behind when it was killed. Throws ConfigError that names the
  // holder's host, process and job, IoError when the folder cannot be written.
  explicit RunLock(const std::filesystem::path& folder, const RunLockOptions& options = {});
  // Gives it back: the file is gone.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  // To be called often; gives a sign of life when one is due.
  void Refresh();

 private:
  void Take();
  void Open();
  bool IsInPlace() const;
  bool TryFlock() const;
  void RefuseLivingHolder(bool flock_works);
  [[noreturn]] void Refuse(const std::string& holder) const;
  std::string Read() const;
  void Write(const std::string& holder) const;

  std::filesystem::path path_;
  RunLockOptions options_;
  int fd_ = -1;
  std::string own_;
  std::chrono::steady_clock::time_point refreshed_;
};

}  // namespace lcsc
