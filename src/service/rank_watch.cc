#include "lcsc/service/rank_watch.h"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <csignal>

#include "lcsc/base/process.h"

namespace lcsc {
namespace {

constexpr const char* kWhatToDo =
    "a process that was stopped, a host or a network that is gone, a collective that another rank did not join, or a "
    "file system that does not answer. The same command goes on from the run directory";

bool IsProcess(std::int64_t pid) { return ::kill(static_cast<pid_t>(pid), 0) == 0; }

// Stages in which a rank waits for nobody and for no disk.
bool IsArithmetic(const std::string& stage) {
  return stage == "measure" || stage == "sample" || stage == "features" || stage == "distance" || stage == "backward";
}

double AgeInSeconds(std::chrono::steady_clock::time_point time) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - time).count();
}

std::string WorkText(const RankActivity& activity) {
  const std::string stage = fmt::format("stage {}", activity.stage);
  return activity.candidate_id ? fmt::format("candidate {}, {}", *activity.candidate_id, stage) : stage;
}

std::string WhoText(const RankActivity& activity) {
  return fmt::format("rank {} ({}, pid {})", activity.world_rank, activity.host, activity.pid);
}

}  // namespace

std::string DescribeRank(const RankActivity& activity) {
  return fmt::format("{} in {} for {:.1f} s, heard {:.1f} s ago", WhoText(activity), WorkText(activity),
                     activity.stage_seconds, activity.heartbeat_age_s);
}

RankWatch::RankWatch(const WatchdogOptions& options)
    : options_(options), watchdog_(options), in_flight_(static_cast<std::size_t>(options.layout.num_groups)) {}

void RankWatch::Submitted(int group, std::int64_t candidate_id) {
  watchdog_.Submitted(group);
  in_flight_.at(static_cast<std::size_t>(group)).push_back(candidate_id);
}

void RankWatch::Answered(int group, std::int64_t candidate_id) {
  watchdog_.Answered(group);
  std::erase(in_flight_.at(static_cast<std::size_t>(group)), candidate_id);
}

void RankWatch::Listen(Mailbox& mailbox) {
  constexpr auto kPause = std::chrono::milliseconds(200);
  const auto now = Clock::now();
  if (listened_ && now - *listened_ < kPause) return;
  listened_ = now;
  Advance(std::chrono::duration<double>(now.time_since_epoch()).count());
  while (const auto received = mailbox.Receive(Mailbox::kAnyRank, MessageTag::kHeartbeat, 0)) {
    Hear(received->from_rank, UnpackHeartbeat(received->bytes));
  }
}

void RankWatch::Hear(int world_rank, const Heartbeat& heartbeat) {
  watchdog_.Heard(world_rank, heartbeat.steps);
  const auto [place, is_new] = heard_.try_emplace(world_rank);
  // A host of the same name may still have other process ids: those of a container.
  if (is_new) place->second.is_visible = heartbeat.host == HostName() && IsProcess(heartbeat.pid);
  place->second.heartbeat = heartbeat;
  place->second.time = Clock::now();
}

std::vector<RankActivity> RankWatch::Activities() const {
  std::vector<RankActivity> activities;
  for (const auto& [world_rank, heard] : heard_) {
    const Heartbeat& heartbeat = heard.heartbeat;
    const double age_s = AgeInSeconds(heard.time);
    RankActivity& activity = activities.emplace_back();
    activity = {.group = options_.layout.group_of.at(static_cast<std::size_t>(world_rank)),
                .world_rank = world_rank,
                .host = heartbeat.host,
                .pid = heartbeat.pid,
                .candidate_id = {},
                .stage = heartbeat.stage,
                .stage_seconds = heartbeat.stage_seconds + age_s,
                .heartbeat_age_s = age_s};
    if (heartbeat.candidate_id != kNoCandidate) activity.candidate_id = heartbeat.candidate_id;
  }
  return activities;
}

std::vector<RankActivity> RankWatch::ActivitiesOf(int group) const {
  std::vector<RankActivity> activities = Activities();
  std::erase_if(activities, [&](const RankActivity& activity) { return activity.group != group; });
  return activities;
}

std::optional<Hang> RankWatch::FindHang() const {
  const auto silence = watchdog_.Find();
  if (!silence) return std::nullopt;
  return silence->world_rank ? DescribeSilentRank(*silence) : DescribeSilentGroup(*silence);
}

Hang RankWatch::DescribeSilentRank(const Watchdog::Silence& silence) const {
  Hang hang;
  std::string who = fmt::format("rank {}, which was never heard", *silence.world_rank);
  for (const RankActivity& activity : ActivitiesOf(silence.group)) {
    if (activity.world_rank != *silence.world_rank) continue;
    who = fmt::format("{}, last heard in {}", WhoText(activity), WorkText(activity));
  }
  hang.text = fmt::format("no heartbeat for {:.0f} s (bound {:.0f} s) from {}; group {} holds the candidates {}: {}",
                          silence.seconds, silence.bound_s, who, silence.group,
                          fmt::join(in_flight_[static_cast<std::size_t>(silence.group)], ", "), kWhatToDo);
  return hang;
}

Hang RankWatch::DescribeSilentGroup(const Watchdog::Silence& silence) const {
  constexpr std::size_t kMostShown = 8;
  std::vector<RankActivity> ranks = ActivitiesOf(silence.group);
  std::ranges::stable_sort(ranks, std::greater(), &RankActivity::stage_seconds);
  Hang hang;
  std::vector<std::string> lines;
  for (const RankActivity& activity : ranks) {
    if (!hang.candidate_id && IsArithmetic(activity.stage)) hang.candidate_id = activity.candidate_id;
    if (lines.size() < kMostShown) lines.push_back(DescribeRank(activity));
  }
  if (lines.empty()) {
    const int leader = options_.layout.leaders.at(static_cast<std::size_t>(silence.group));
    lines.push_back(fmt::format("rank {}, which was never heard", leader));
  }
  hang.text = fmt::format(
      "group {} has given no sign of life for {:.0f} s (bound {:.0f} s): {}; it holds the candidates {}: {}; if a "
      "stage "
      "can take that long, raise run.hang_timeout_s",
      silence.group, silence.seconds, silence.bound_s, fmt::join(lines, "; "),
      fmt::join(in_flight_[static_cast<std::size_t>(silence.group)], ", "), kWhatToDo);
  return hang;
}

std::string RankWatch::DescribeGone() const {
  std::vector<std::string> lines;
  for (const RankActivity& activity : Activities()) {
    if (!heard_.at(activity.world_rank).is_visible || IsProcess(activity.pid)) continue;
    lines.push_back(fmt::format("{} is gone; {:.1f} s ago it was in {}; its group held the candidates {}",
                                WhoText(activity), activity.heartbeat_age_s, WorkText(activity),
                                fmt::join(in_flight_[static_cast<std::size_t>(activity.group)], ", ")));
  }
  return fmt::format("{}", fmt::join(lines, "; "));
}

}  // namespace lcsc
