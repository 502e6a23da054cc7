#include "lcsc/comm/watchdog.h"

#include <algorithm>

namespace lcsc {

Watchdog::Watchdog(WatchdogOptions options)
    : options_(std::move(options)),
      groups_(static_cast<std::size_t>(options_.layout.num_groups)),
      ranks_(options_.layout.group_of.size()) {}

void Watchdog::Advance(double now_s) {
  constexpr double kLongestStep = 1;
  time_s_ += std::clamp(now_s - clock_s_.value_or(now_s), 0.0, kLongestStep);
  clock_s_ = now_s;
}

void Watchdog::Submitted(int group) {
  Group& busy = groups_.at(static_cast<std::size_t>(group));
  if (busy.in_flight++ == 0) busy.answered = busy.sign = time_s_;
}

void Watchdog::Answered(int group) {
  Group& busy = groups_.at(static_cast<std::size_t>(group));
  longest_outcome_s_ = std::max(longest_outcome_s_.value_or(0), time_s_ - busy.answered);
  busy.answered = busy.sign = time_s_;
  --busy.in_flight;
}

void Watchdog::Heard(int world_rank, std::uint64_t steps) {
  Rank& rank = ranks_.at(static_cast<std::size_t>(world_rank));
  rank.heard = time_s_;
  if (rank.steps == steps) return;
  rank.steps = steps;
  const int group = options_.layout.group_of[static_cast<std::size_t>(world_rank)];
  if (group >= 0) groups_[static_cast<std::size_t>(group)].sign = time_s_;
}

double Watchdog::GroupBound() const {
  constexpr double kFactor = 10, kShortest = 60, kBeforeFirstOutcome = 3600;
  if (options_.hang_timeout_s > 0) return options_.hang_timeout_s;
  return longest_outcome_s_ ? std::max(kShortest, kFactor * *longest_outcome_s_) : kBeforeFirstOutcome;
}

double Watchdog::HeartbeatBound() const {
  constexpr double kDefault = 30, kHeartbeats = 5, kFewestHeartbeats = 3;
  const double longest = std::max(kDefault, kHeartbeats * options_.heartbeat_interval_s);
  if (options_.hang_timeout_s <= 0) return longest;
  return std::clamp(options_.hang_timeout_s, kFewestHeartbeats * options_.heartbeat_interval_s, longest);
}

std::optional<Watchdog::Silence> Watchdog::Find() const {
  const int num_ranks = options_.heartbeat_interval_s > 0 ? static_cast<int>(ranks_.size()) : 0;
  for (int world_rank = 0; world_rank < num_ranks; ++world_rank) {
    const int group = options_.layout.group_of[static_cast<std::size_t>(world_rank)];
    const double seconds = time_s_ - ranks_[static_cast<std::size_t>(world_rank)].heard;
    if (group >= 0 && seconds > HeartbeatBound()) return Silence{group, world_rank, seconds, HeartbeatBound()};
  }
  for (int group = 0; group < options_.layout.num_groups; ++group) {
    const Group& busy = groups_[static_cast<std::size_t>(group)];
    const double seconds = time_s_ - busy.sign;
    if (busy.in_flight > 0 && seconds > GroupBound()) return Silence{group, {}, seconds, GroupBound()};
  }
  return std::nullopt;
}

}  // namespace lcsc
