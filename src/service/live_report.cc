#include "lcsc/service/live_report.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "lcsc/base/living_process.h"
#include "lcsc/base/process.h"

namespace lcsc {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

template <typename T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json RankJson(const RankActivity& rank) {
  return {{"rank", rank.world_rank},
          {"host", rank.host},
          {"pid", rank.pid},
          {"candidate", OrNull(rank.candidate_id)},
          {"stage", rank.stage},
          {"stage_seconds", rank.stage_seconds},
          {"heartbeat_age_s", rank.heartbeat_age_s}};
}

Json GroupsJson(const std::vector<RankActivity>& ranks) {
  std::map<int, Json> by_group;
  for (const RankActivity& rank : ranks)
    by_group.try_emplace(rank.group, Json::array()).first->second.push_back(RankJson(rank));
  Json groups = Json::array();
  for (auto& [group, members] : by_group) groups.push_back({{"group", group}, {"ranks", std::move(members)}});
  return groups;
}

double SystemSeconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

Json LiveJson(const LiveState& state, const std::vector<RankActivity>& ranks,
              const std::vector<std::pair<std::int64_t, double>>& best_curve, double now_s) {
  const char* const job = std::getenv("SLURM_JOB_ID");
  const double per_second =
      state.session_seconds > 0 ? static_cast<double>(state.session_evaluations) / state.session_seconds : 0;
  std::optional<double> eta_seconds;
  if (per_second > 0) {
    eta_seconds = static_cast<double>(state.planned_evaluations - state.evaluations) / per_second;
  }
  return {{"updated", now_s},
          {"host", HostName()},
          {"pid", ::getpid()},
          {"started", IdentifyProcess(::getpid()).started},
          {"job", job != nullptr ? job : ""},
          {"state", state.state},
          {"evaluations", state.evaluations},
          {"planned_evaluations", state.planned_evaluations},
          {"candidates_per_hour", 3600 * per_second},
          {"eta_seconds", OrNull(eta_seconds)},
          {"best_score", OrNull(state.best_score)},
          {"best_ema_score", OrNull(state.best_ema_score)},
          {"best_curve", best_curve},
          {"groups", GroupsJson(ranks)}};
}

LiveReport::~LiveReport() {
  if (!written_ || last_.state != "running") return;
  last_.state = "failed";
  try {
    Write(last_, last_ranks_);
  } catch (const std::exception&) {
    return;  // another error is on its way
  }
}

void LiveReport::Improved(std::int64_t evaluations, double score) {
  constexpr std::size_t kMostEntries = 200;
  best_curve_.emplace_back(evaluations, score);
  if (best_curve_.size() <= kMostEntries) return;
  // Every other one of the older half, so that the curve's shape stays.
  std::size_t index = 0;
  std::erase_if(best_curve_, [&](const auto&) { return index++ % 2 == 1 && index < kMostEntries / 2; });
}

bool LiveReport::IsDue() const {
  constexpr auto kInterval = std::chrono::seconds(1);
  return !file_.empty() && (!written_ || std::chrono::steady_clock::now() - *written_ >= kInterval);
}

void LiveReport::Write(const LiveState& state, const std::vector<RankActivity>& ranks) {
  if (file_.empty()) return;
  last_ = state;
  last_ranks_ = ranks;
  written_ = std::chrono::steady_clock::now();
  const Json json = LiveJson(state, ranks, best_curve_, SystemSeconds());
  Replace(json.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n");
}

void LiveReport::Replace(const std::string& text) const {
  const fs::path temporary = file_.string() + ".tmp";
  std::error_code ignored;
  std::ofstream file(temporary, std::ios::binary);
  file << text;
  file.close();
  if (file) {
    fs::rename(temporary, file_, ignored);
  } else {
    fs::remove(temporary, ignored);
  }
}

}  // namespace lcsc
