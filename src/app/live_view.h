// What a search does at this moment: live.json of its run directory, which the search writes about once a second.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lcsc/state/run_directory.h"

namespace lcsc {

struct RankView {
  std::int64_t group = 0;
  std::int64_t world_rank = 0;
  std::string host;
  std::int64_t pid = 0;
  std::optional<std::int64_t> candidate;
  std::string stage;
  double stage_s = 0;
  double heartbeat_age_s = 0;
};

struct LiveView {
  double updated_s = 0;  // since 1970
  std::string host;      // of the master, as its process and its Slurm job ("" without)
  std::int64_t pid = 0;
  std::int64_t started = 0;  // ProcessId::started
  std::string job;
  std::string state;  // running, interrupted, done, failed
  std::int64_t evaluations = 0, planned_evaluations = 0;
  double candidates_per_hour = 0;
  std::optional<double> eta_s, best_score, best_ema_score;
  std::vector<std::pair<std::int64_t, double>> best_curve;  // (evaluations, best score so far), ascending
  std::vector<RankView> ranks;
};

// The view in the run directory; nullopt when there is none. Its words are made fit for a terminal. Throws InputError
// that says what is damaged.
std::optional<LiveView> ReadLiveView(const std::filesystem::path& folder);
// The same from a file's content; path: for messages.
LiveView ParseLiveView(const std::string& text, const std::string& path);
// In the form of live.json.
nlohmann::json JsonOf(const LiveView& view);

// What a snapshot says of the same; no ranks, no host.
LiveView ViewOf(const PopulationSnapshot& snapshot);

enum class Liveness {
  kLive,    // running, as far as can be seen, or in its set-up
  kEnded,   // it said so itself
  kGone,    // it said that it runs, but its process on this host has ended
  kSilent,  // it said that it runs, a while ago, on another host
  kNone     // no view
};

struct Observer {
  std::string host;
  double now_s = 0;
};
// This host and this moment.
Observer ObserverHere();

Liveness LivenessOf(const std::optional<LiveView>& view, const Observer& observer);
// One line for people: "running on n1 (process 12, Slurm job 3), last seen 0.4s ago".
std::string Headline(const std::optional<LiveView>& view, const Observer& observer);

// What can be seen of a search at one moment.
struct Moment {
  std::string headline;
  Liveness liveness = Liveness::kNone;
  LiveView view;
};
// By live.json, and by the lock while a search has not reported yet; a damaged live.json is told in the headline.
Moment LookAtLiveView(const std::filesystem::path& folder, const Observer& observer);
// The same, with the snapshot's view and end where live.json shows no search. Only reads the folder, which is there.
// Throws InputError when the snapshot is damaged.
Moment Look(const std::filesystem::path& folder, const Observer& observer);

}  // namespace lcsc
