// Says which ranks have stopped answering. Knows neither MPI nor a clock: others tell it what came and how late it is.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lcsc/comm/group.h"

namespace lcsc {

struct WatchdogOptions {
  GroupLayout layout;
  double hang_timeout_s = 0;        // 0: from measured evaluation times
  double heartbeat_interval_s = 0;  // 0: no rank sends heartbeats
};

// A group is silent while it has work and gives no sign of life: neither an outcome nor, in the heartbeats of any of
// its ranks, a stage that began or ended. A rank is silent while no heartbeat comes from it, whether it has work or
// not.
class Watchdog {
 public:
  explicit Watchdog(WatchdogOptions options);

  // How late it is, by any clock. Between two calls at most a second counts: while the master itself was kept waiting,
  // by a disk or by who stopped the whole job, nobody is to blame.
  void Advance(double now_s);
  void Submitted(int group);
  void Answered(int group);
  void Heard(int world_rank, std::uint64_t steps);

  struct Silence {
    int group = 0;
    std::optional<int> world_rank;  // whose heartbeats are missing; none: the group gives no sign of life
    double seconds = 0, bound_s = 0;
  };
  // A silence that is longer than its bound.
  std::optional<Silence> Find() const;

  // Of a group: hang_timeout_s; or ten times the longest that any group has taken for an outcome, and at least a
  // minute; an hour while there is no outcome yet.
  double GroupBound() const;
  // Of a rank: 30 s or five heartbeats, or the shorter hang_timeout_s, but no less than three heartbeats.
  double HeartbeatBound() const;

 private:
  struct Group {
    int in_flight = 0;
    double answered = 0;  // or became busy
    double sign = 0;
  };
  struct Rank {
    double heard = 0;
    std::uint64_t steps = 0;
  };

  WatchdogOptions options_;
  std::vector<Group> groups_;
  std::vector<Rank> ranks_;  // by world rank
  std::optional<double> clock_s_;
  double time_s_ = 0;  // that has counted
  std::optional<double> longest_outcome_s_;
};

}  // namespace lcsc
