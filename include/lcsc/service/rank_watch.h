// What the master knows of the worker ranks: what each does, which of them hang, which have died.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lcsc/comm/heartbeat.h"
#include "lcsc/comm/message.h"
#include "lcsc/comm/watchdog.h"

namespace lcsc {

// What a worker rank does, as far as is known.
struct RankActivity {
  int group = 0;
  int world_rank = 0;
  std::string host;
  std::int64_t pid = 0;
  std::optional<std::int64_t> candidate_id;
  std::string stage;
  double stage_seconds = 0;    // in that stage, until now
  double heartbeat_age_s = 0;  // since it said so
};
// "rank 1 (n1, pid 123) in candidate 17, stage sample for 1.2 s, heard 0.3 s ago".
std::string DescribeRank(const RankActivity& activity);

struct Hang {
  // The candidate whose own arithmetic does not end; none where a process, the network or a file system is to blame.
  std::optional<std::int64_t> candidate_id;
  std::string text;  // who, where, since when, and what to do
};

// Threads: one.
class RankWatch {
 public:
  explicit RankWatch(const WatchdogOptions& options);

  void Submitted(int group, std::int64_t candidate_id);
  void Answered(int group, std::int64_t candidate_id);
  // Takes the heartbeats that have come. Looks a few times a second, however often it is called.
  void Listen(Mailbox& mailbox);
  // What Listen does: Watchdog::Advance, and what one rank has said.
  void Advance(double now_s) { watchdog_.Advance(now_s); }
  void Hear(int world_rank, const Heartbeat& heartbeat);

  // Of the ranks that have been heard, by rank.
  std::vector<RankActivity> Activities() const;
  // A rank or a group that has been silent for too long.
  std::optional<Hang> FindHang() const;
  // Names the ranks on this machine whose process is gone, with what they did last; "" when all are there.
  std::string DescribeGone() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Heard {
    Heartbeat heartbeat;
    Clock::time_point time;
    bool is_visible = false;  // its process can be seen from here
  };

  std::vector<RankActivity> ActivitiesOf(int group) const;
  Hang DescribeSilentRank(const Watchdog::Silence& silence) const;
  Hang DescribeSilentGroup(const Watchdog::Silence& silence) const;

  WatchdogOptions options_;
  Watchdog watchdog_;
  std::map<int, Heard> heard_;                        // by world rank
  std::vector<std::vector<std::int64_t>> in_flight_;  // candidate ids, by group
  std::optional<Clock::time_point> listened_;
};

}  // namespace lcsc
