#include "app/live_view.h"

#include <algorithm>
#include <chrono>
#include <fstream>

#include "lcsc/base/error.h"
#include "lcsc/base/living_process.h"
#include "lcsc/base/process.h"
#include "lcsc/base/progress.h"
#include "lcsc/search/improvements.h"

namespace lcsc {
namespace fs = std::filesystem;
namespace {

constexpr double kFreshSeconds = 10;
constexpr std::size_t kMostBytes = std::size_t{64} << 20;
constexpr std::size_t kMostWordBytes = 64;
constexpr double kMostSeconds = 1e10;

// A terminal obeys some characters: only plain ASCII is let through.
std::string Harmless(std::string word) {
  word.resize(std::min(word.size(), kMostWordBytes));
  std::ranges::replace_if(
      word, [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return word;
}

// An object of live.json, whose keys are checked as they are read.
class Fields {
 public:
  Fields(const nlohmann::json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) Refuse("", "an object");
  }

  double Number(const char* key) const { return At(key, "a number", &nlohmann::json::is_number).get<double>(); }
  double Seconds(const char* key) const { return std::clamp(Number(key), 0.0, kMostSeconds); }
  std::int64_t Integer(const char* key) const {
    return At(key, "a whole number", &nlohmann::json::is_number_integer).get<std::int64_t>();
  }
  std::string Word(const char* key) const {
    return Harmless(At(key, "text", &nlohmann::json::is_string).get<std::string>());
  }
  const nlohmann::json& List(const char* key) const { return At(key, "a list", &nlohmann::json::is_array); }
  bool Has(const char* key) const { return object_.contains(key) && !object_[key].is_null(); }
  std::optional<double> MaybeNumber(const char* key) const {
    return Has(key) ? std::optional<double>(Number(key)) : std::nullopt;
  }

  [[noreturn]] void Refuse(const std::string& key, const char* expected) const {
    throw InputError("{}{}{}: expected {}; the file is damaged, or of another version of lcsc", where_,
                     key.empty() ? "" : ": ", key, expected);
  }

 private:
  const nlohmann::json& At(const char* key, const char* expected,
                           bool (nlohmann::json::*is_expected)() const noexcept) const {
    const auto entry = object_.find(key);
    if (entry == object_.end() || !((*entry).*is_expected)()) Refuse(key, expected);
    return *entry;
  }

  const nlohmann::json& object_;
  std::string where_;
};

RankView ParseRank(const Fields& fields, std::int64_t group) {
  RankView rank{.group = group,
                .world_rank = fields.Integer("rank"),
                .host = fields.Word("host"),
                .pid = fields.Integer("pid"),
                .candidate = {},
                .stage = fields.Word("stage"),
                .stage_s = fields.Seconds("stage_seconds"),
                .heartbeat_age_s = fields.Seconds("heartbeat_age_s")};
  if (fields.Has("candidate")) rank.candidate = fields.Integer("candidate");
  return rank;
}

std::vector<RankView> ParseRanks(const Fields& fields, const std::string& path) {
  std::vector<RankView> ranks;
  if (!fields.Has("groups")) return ranks;
  for (const nlohmann::json& entry : fields.List("groups")) {
    const Fields group(entry, path + ": groups");
    for (const nlohmann::json& rank : group.List("ranks")) {
      ranks.push_back(ParseRank(Fields(rank, path + ": ranks"), group.Integer("group")));
    }
  }
  return ranks;
}

std::vector<std::pair<std::int64_t, double>> ParseCurve(const Fields& fields) {
  std::vector<std::pair<std::int64_t, double>> curve;
  for (const nlohmann::json& point : fields.List("best_curve")) {
    if (!point.is_array() || point.size() != 2 || !point[0].is_number_integer() || !point[1].is_number()) {
      fields.Refuse("best_curve", "pairs of evaluations and score");
    }
    curve.emplace_back(point[0].get<std::int64_t>(), point[1].get<double>());
  }
  return curve;
}

std::string Whereabouts(const LiveView& view) {
  const std::string job = view.job.empty() ? "" : ", Slurm job " + view.job;
  return fmt::format("on {} (process {}{})", view.host, view.pid, job);
}

// Who holds the run directory and gives signs of life.
std::optional<LockHolder> LivingHolder(const fs::path& folder, const Observer& observer) {
  constexpr double kDeadAfterSeconds = kMissedSignsOfLife * RunLockOptions{}.sign_of_life_s;
  const auto holder = ReadLockHolder(folder);
  if (!holder) return std::nullopt;
  const bool lives = holder->host == observer.host ? IsAlive(holder->process) : holder->silent_s < kDeadAfterSeconds;
  return lives ? holder : std::nullopt;
}

bool IsReportOf(const LockHolder& holder, const LiveView& view) {
  return view.host == Harmless(holder.host) && view.pid == holder.process.pid && view.started == holder.process.started;
}

// earlier: as the session before has left it.
LiveView ViewOfSetUp(const LockHolder& holder, LiveView earlier) {
  LiveView view = std::move(earlier);
  view.host = Harmless(holder.host);
  view.job = Harmless(holder.job);
  view.pid = holder.process.pid;
  view.started = holder.process.started;
  view.state = RunStateName(RunState::kRunning);
  view.candidates_per_hour = 0;
  view.eta_s.reset();
  view.ranks.clear();
  return view;
}

}  // namespace

LiveView ParseLiveView(const std::string& text, const std::string& path) {
  const nlohmann::json content = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (content.is_discarded()) throw InputError("{}: expected JSON, found something else; the file is damaged", path);
  const Fields fields(content, path);
  LiveView view{.updated_s = fields.Seconds("updated"),
                .host = fields.Word("host"),
                .pid = fields.Integer("pid"),
                .started = fields.Has("started") ? fields.Integer("started") : 0,
                .job = fields.Word("job"),
                .state = fields.Word("state"),
                .evaluations = fields.Integer("evaluations"),
                .planned_evaluations = fields.Integer("planned_evaluations"),
                .candidates_per_hour = fields.Number("candidates_per_hour"),
                .eta_s = {},
                .best_score = fields.MaybeNumber("best_score"),
                .best_ema_score = fields.MaybeNumber("best_ema_score"),
                .best_curve = ParseCurve(fields),
                .ranks = ParseRanks(fields, path)};
  if (fields.Has("eta_seconds")) view.eta_s = fields.Seconds("eta_seconds");
  return view;
}

std::optional<LiveView> ReadLiveView(const fs::path& folder) {
  const fs::path path = folder / "live.json";
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  if (!error && bytes > kMostBytes) {
    throw InputError("{}: expected at most {}, found {}; the file is damaged", path.string(),
                     FormatBytes(static_cast<double>(kMostBytes)), FormatBytes(static_cast<double>(bytes)));
  }
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return ParseLiveView(text, path.string());
}

nlohmann::json JsonOf(const LiveView& view) {
  const auto maybe = [](const auto& value) { return value ? nlohmann::json(*value) : nlohmann::json(); };
  std::map<std::int64_t, nlohmann::json> groups;
  for (const RankView& rank : view.ranks) {
    groups[rank.group].push_back({{"rank", rank.world_rank},
                                  {"host", rank.host},
                                  {"pid", rank.pid},
                                  {"candidate", maybe(rank.candidate)},
                                  {"stage", rank.stage},
                                  {"stage_seconds", rank.stage_s},
                                  {"heartbeat_age_s", rank.heartbeat_age_s}});
  }
  nlohmann::json list = nlohmann::json::array();
  for (auto& [group, ranks] : groups) list.push_back({{"group", group}, {"ranks", std::move(ranks)}});
  return {{"updated", view.updated_s},
          {"host", view.host},
          {"pid", view.pid},
          {"started", view.started},
          {"job", view.job},
          {"state", view.state},
          {"evaluations", view.evaluations},
          {"planned_evaluations", view.planned_evaluations},
          {"candidates_per_hour", view.candidates_per_hour},
          {"eta_seconds", maybe(view.eta_s)},
          {"best_score", maybe(view.best_score)},
          {"best_ema_score", maybe(view.best_ema_score)},
          {"best_curve", view.best_curve},
          {"groups", std::move(list)}};
}

LiveView ViewOf(const PopulationSnapshot& snapshot) {
  LiveView view;
  view.updated_s = static_cast<double>(snapshot.updated_s);
  view.state = RunStateName(snapshot.state);
  view.evaluations = static_cast<std::int64_t>(snapshot.population.size());
  view.planned_evaluations = snapshot.planned_evaluations;
  if (snapshot.seconds > 0) {
    view.candidates_per_hour = 3600 * static_cast<double>(view.evaluations) / snapshot.seconds;
  }
  if (const EvaluatedCandidate* best = BestOf(snapshot.population, /*only_ema=*/true)) {
    view.best_ema_score = best->outcome.score;
  }
  for (const auto& [evaluations, member] : ImprovementsOf(snapshot.population)) {
    view.best_score = member->outcome.score;
    view.best_curve.emplace_back(evaluations, *view.best_score);
  }
  return view;
}

Observer ObserverHere() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {HostName(), std::chrono::duration<double>(now).count()};
}

Liveness LivenessOf(const std::optional<LiveView>& view, const Observer& observer) {
  if (!view) return Liveness::kNone;
  if (view->state != "running") return Liveness::kEnded;
  if (observer.now_s - view->updated_s <= kFreshSeconds) return Liveness::kLive;
  if (view->host != observer.host) return Liveness::kSilent;
  return IsAlive({.pid = view->pid, .started = view->started}) ? Liveness::kLive : Liveness::kGone;
}

std::string Headline(const std::optional<LiveView>& view, const Observer& observer) {
  if (!view) return "no live search: there is no live.json";
  const std::string where = Whereabouts(*view);
  const double age_s = std::clamp(observer.now_s - view->updated_s, 0.0, kMostSeconds);
  const std::string ago = FormatDuration(age_s) + " ago";
  switch (LivenessOf(view, observer)) {
    case Liveness::kLive:
      return fmt::format("running {}, last seen {}{}", where, ago,
                         age_s <= kFreshSeconds ? "" : ": its process is there and says nothing");
    case Liveness::kEnded:
      return fmt::format("{} {}, {}", view->state, where, ago);
    case Liveness::kGone:
      return fmt::format("no live search: last seen {} {}, and that process is gone; the same command resumes it", ago,
                         where);
    default:
      return fmt::format("no live search: last seen {} {}; whether it still runs cannot be seen from {}", ago, where,
                         observer.host);
  }
}

Moment LookAtLiveView(const fs::path& folder, const Observer& observer) {
  std::optional<LiveView> live;
  try {
    live = ReadLiveView(folder);
  } catch (const InputError& error) {
    return {.headline = fmt::format("no live search to be seen: {}", error.what()), .view = {}};
  }
  if (const auto holder = LivingHolder(folder, observer); holder && !(live && IsReportOf(*holder, *live))) {
    const LiveView view = ViewOfSetUp(*holder, live.value_or(LiveView{}));
    return {fmt::format("running {}: it sets up and has not reported yet", Whereabouts(view)), Liveness::kLive, view};
  }
  return {Headline(live, observer), LivenessOf(live, observer), live.value_or(LiveView{})};
}

Moment Look(const fs::path& folder, const Observer& observer) {
  Moment moment = LookAtLiveView(folder, observer);
  if (moment.liveness == Liveness::kLive || moment.liveness == Liveness::kEnded) return moment;
  if (!fs::exists(folder / "population.h5")) {
    moment.headline += "; no snapshot yet";
    return moment;
  }
  const PopulationSnapshot snapshot = *RunDirectory::OpenExisting(folder).ReadSnapshot();
  moment.view = ViewOf(snapshot);
  const bool says_that_it_ended = snapshot.state != RunState::kRunning;
  if (moment.liveness == Liveness::kNone && says_that_it_ended) moment.liveness = Liveness::kEnded;
  return moment;
}

}  // namespace lcsc
