// One master for a run directory. The lock is flock's on the file `lock`, and what stands in it: who holds it. Where
// flock does not work, or not between hosts, a holder that gives a sign of life is respected all the same.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "lcsc/base/living_process.h"

namespace lcsc {

// Who stands in a lock.
struct LockHolder {
  std::string host, job;  // of Slurm, "" without; as the file says: not fit for a terminal
  ProcessId process;      // on its host
  double silent_s = 0;    // since its last sign of life, by this host's clock
};
// nullopt: there is no lock, or nothing that can be read in it. Only reads.
std::optional<LockHolder> ReadLockHolder(const std::filesystem::path& folder);

struct RunLockOptions {
  double retry_s = 2;         // how long a holder on this host may take to end
  double sign_of_life_s = 5;  // a holder touches the file that often; one that did not for three times as long is dead
};
// Signs of life that a dead holder has missed.
inline constexpr int kMissedSignsOfLife = 3;

class RunLock {
 public:
  // Takes the lock, and over one that its holder left behind when it was killed; a thread of its own gives signs of
  // life until the end. Throws ConfigError that names the holder's host, process and job, IoError when the folder
  // cannot be written.
  explicit RunLock(const std::filesystem::path& folder, const RunLockOptions& options = {});
  // Gives it back: the file is gone.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  // Reads the file. Throws ConfigError that names the new holder when this one had been stopped for so long that it was
  // taken for dead; IoError when the file is gone.
  void Confirm();
  // The same where a takeover is possible; costs nothing while signs of life are given. To be called often.
  void ConfirmIfDue();

 private:
  void Take();
  void Open();
  bool IsInPlace() const;
  bool TryFlock() const;
  void RefuseLivingHolder(bool flock_works);
  [[noreturn]] void Refuse(const std::string& holder) const;
  void Write(const std::string& holder) const;
  void GiveSignsOfLife();

  std::filesystem::path path_;
  RunLockOptions options_;
  int fd_ = -1;
  std::string own_;
  std::atomic<double> confirmed_s_ = 0;  // when the file was last known to be its own; of the steady clock
  std::mutex mutex_;
  std::condition_variable ended_;
  bool is_ended_ = false;
  std::thread thread_;
};

}  // namespace lcsc
