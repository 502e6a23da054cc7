// What a worker rank tells the master about once a second, whatever its other threads do.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "lcsc/base/stage_board.h"

namespace lcsc {

struct Heartbeat {
  std::string host;
  std::int64_t pid = 0;
  std::int64_t candidate_id = kNoCandidate;  // of the oldest stage that the rank is at
  std::string stage;
  double stage_seconds = 0;
  std::uint64_t steps = 0;  // StageSteps
};
Heartbeat OwnHeartbeat();
std::vector<std::byte> PackHeartbeat(const Heartbeat& heartbeat);
// Throws InvariantError when the bytes are not what PackHeartbeat gave.
Heartbeat UnpackHeartbeat(std::span<const std::byte> bytes);

// Seconds between two heartbeats of a rank: 1, and more where thousands of them would keep the master busy.
double HeartbeatInterval(int world_size);

// Sends this rank's heartbeats to rank 0 while it lives, the first at once. REQUIRES: threads may call MPI.
class HeartbeatSender {
 public:
  explicit HeartbeatSender(double interval_s);
  // What was sent has left.
  ~HeartbeatSender();
  HeartbeatSender(const HeartbeatSender&) = delete;
  HeartbeatSender& operator=(const HeartbeatSender&) = delete;

 private:
  void Send();
  bool WaitForEnd();

  const double interval_s_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool is_ended_ = false;
  std::thread thread_;
};

}  // namespace lcsc
