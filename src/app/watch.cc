#include "app/watch.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <thread>

#include "lcsc/base/error.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/table.h"

namespace lcsc {
namespace {

constexpr std::size_t kCurvePoints = 48;
constexpr std::size_t kLinesBesideRanks = 12;

std::string ScoreText(const std::optional<double>& score) { return score ? fmt::format("{:.4f}", *score) : "none yet"; }

std::string EvaluationsText(const LiveView& view) {
  const double share = view.planned_evaluations > 0
                           ? 100 * static_cast<double>(view.evaluations) / static_cast<double>(view.planned_evaluations)
                           : 0;
  return fmt::format("{} of {} ({:.0f}%)", view.evaluations, view.planned_evaluations, share);
}

std::string CurveText(const LiveView& view) {
  if (view.best_curve.empty()) return "none yet";
  return fmt::format("{:.4f} {} {:.4f}", view.best_curve.front().second,
                     Sparkline(CurvePoints(view.best_curve, view.evaluations, kCurvePoints)),
                     view.best_curve.back().second);
}

std::string RankTable(const std::vector<RankView>& ranks, std::size_t most_ranks) {
  if (ranks.empty()) return "";
  Table table({"group", "rank", "host", "stage", "candidate", "for", "heartbeat"});
  const std::size_t shown = std::min(ranks.size(), most_ranks);
  for (std::size_t i = 0; i < shown; ++i) {
    const RankView& rank = ranks[i];
    table.AddRow({fmt::format("{}", rank.group), fmt::format("{}", rank.world_rank), rank.host, rank.stage,
                  rank.candidate ? fmt::format("{}", *rank.candidate) : "-", FormatDuration(rank.stage_s),
                  FormatDuration(rank.heartbeat_age_s) + " ago"});
  }
  const std::size_t left = ranks.size() - shown;
  return fmt::format("\n{}{}", table.ToString(), left > 0 ? fmt::format("... and {} more ranks\n", left) : "");
}

// Written over what stands on the terminal: without a flicker, and with no line broken.
std::string Redrawn(const std::string& text) {
  std::string drawn = "\033[?7l\033[H";
  for (const char c : text) drawn += c == '\n' ? std::string("\033[K\n") : std::string(1, c);
  return drawn + "\033[J\033[?7h";
}

std::size_t TerminalRows() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

void Write(const std::string& text) {
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) {
    throw IoError("cannot write to stdout: {}", std::strerror(errno));
  }
}

void WriteMoment(const WatchOptions& options, const Moment& moment) {
  if (options.json) {
    nlohmann::json json = JsonOf(moment.view);
    json.update({{"run", options.run}, {"live", moment.liveness == Liveness::kLive}, {"headline", moment.headline}});
    return Write(json.dump() + "\n");
  }
  const std::string headline = options.run + ": " + moment.headline;
  if (::isatty(STDOUT_FILENO) == 0) return Write(WatchText(headline, moment.view, moment.view.ranks.size()) + "\n");
  const std::size_t rows = TerminalRows();
  Write(
      Redrawn(WatchText(headline, moment.view, rows > kLinesBesideRanks ? rows - kLinesBesideRanks : std::size_t{1})));
}

}  // namespace

std::string Sparkline(const std::vector<double>& values) {
  static constexpr std::array<const char*, 8> kBlocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  if (values.empty()) return "";
  const auto [low, high] = std::ranges::minmax_element(values);
  const double top = static_cast<double>(kBlocks.size() - 1);
  std::string text;
  for (const double value : values) {
    // Halves, so that a difference of two large numbers stays finite.
    const double range = *high / 2 - *low / 2;
    const double share = range > 0 ? (value / 2 - *low / 2) / range : 0;
    text += kBlocks[static_cast<std::size_t>(std::lround(share * top))];
  }
  return text;
}

std::vector<double> CurvePoints(const std::vector<std::pair<std::int64_t, double>>& curve, std::int64_t evaluations,
                                std::size_t points) {
  std::vector<double> values;
  if (curve.empty()) return values;
  const auto first = static_cast<double>(curve.front().first), last = static_cast<double>(evaluations);
  std::size_t at = 0;
  for (std::size_t i = 0; i < points; ++i) {
    const double here =
        points == 1 ? last : first + (last - first) * static_cast<double>(i) / static_cast<double>(points - 1);
    while (at + 1 < curve.size() && static_cast<double>(curve[at + 1].first) <= here) ++at;
    values.push_back(curve[at].second);
  }
  return values;
}

std::string WatchText(const std::string& headline, const LiveView& view, std::size_t most_ranks) {
  std::string text = headline + "\n";
  const auto add = [&](const char* what, const std::string& value) { text += fmt::format("{:<14}{}\n", what, value); };
  add("evaluations", EvaluationsText(view));
  add("candidates/h", fmt::format("{:.1f}", view.candidates_per_hour));
  add("ETA", view.eta_s ? FormatDuration(*view.eta_s) : "unknown");
  add("best score", ScoreText(view.best_score));
  add("best EMA", ScoreText(view.best_ema_score));
  add("best curve", CurveText(view));
  return text + RankTable(view.ranks, most_ranks);
}

void WatchRun(const WatchOptions& options) {
  if (!std::filesystem::is_directory(options.run)) {
    throw InputError("{}: expected a run directory, found no such folder; give the folder of a search", options.run);
  }
  const bool redraws = !options.json && ::isatty(STDOUT_FILENO) != 0;
  if (redraws) Write("\033[2J");
  while (true) {
    const Moment moment = Look(options.run, ObserverHere());
    WriteMoment(options, moment);
    if (moment.liveness == Liveness::kEnded || moment.liveness == Liveness::kGone) return;
    std::this_thread::sleep_for(std::chrono::duration<double>(options.interval_s));
  }
}

}  // namespace lcsc
