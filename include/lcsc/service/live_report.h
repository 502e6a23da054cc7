// live.json in the run directory: what a search does now, for whoever watches it from outside (docs/faults.md).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lcsc/service/rank_watch.h"

namespace lcsc {

struct LiveState {
  std::string state;  // running, interrupted, done
  std::int64_t evaluations = 0;
  std::int64_t planned_evaluations = 0;
  std::int64_t session_evaluations = 0;
  double session_seconds = 0;
  std::optional<double> best_score, best_ema_score;
};

// Replaces the file whole, and lets the disk take its time. What cannot be written is not written: it is a convenience.
class LiveReport {
 public:
  // "": nothing is written.
  explicit LiveReport(std::filesystem::path file) : file_(std::move(file)) {}
  // A search that has not ended by now has failed; then the file says so.
  ~LiveReport();
  LiveReport(const LiveReport&) = delete;
  LiveReport& operator=(const LiveReport&) = delete;

  // A new best score, the search's so many-th outcome.
  void Improved(std::int64_t evaluations, double score);
  // Whether the file is a second old.
  bool IsDue() const;
  void Write(const LiveState& state, const std::vector<RankActivity>& ranks);

 private:
  void Replace(const std::string& text) const;

  std::filesystem::path file_;
  std::optional<std::chrono::steady_clock::time_point> written_;
  LiveState last_;
  std::vector<RankActivity> last_ranks_;
  std::vector<std::pair<std::int64_t, double>> best_curve_;
};

// The file's content. now_s: since 1970.
nlohmann::json LiveJson(const LiveState& state, const std::vector<RankActivity>& ranks,
                        const std::vector<std::pair<std::int64_t, double>>& best_curve, double now_s);

}  // namespace lcsc
