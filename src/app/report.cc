#include "app/report.h"

#include <spdlog/fmt/fmt.h>

#include "lcsc/base/progress.h"
#include "lcsc/base/table.h"

namespace lcsc {

nlohmann::json ScoreJson(const EvaluatedCandidate* member) {
  return member == nullptr ? nlohmann::json() : nlohmann::json(*member->outcome.score);
}

std::string NoiseText(const EvaluationOptions& options) {
  return fmt::format("noise seed {}, {} samples", options.seed, options.num_samples);
}

std::string CandidateText(const Candidate& candidate) {
  if (!candidate.ema_rate) return fmt::format("candidate {}", candidate.id);
  return *candidate.ema_rate == 0 ? "last checkpoint" : fmt::format("EMA {:.6g}", *candidate.ema_rate);
}

std::string SearchTable(const SearchSummary& summary, const EvaluationOptions& options, const std::string& run) {
  Table table({"weights", "which", "FID (search noise)"});
  const auto add = [&](const char* title, const EvaluatedCandidate* member) {
    if (member == nullptr) return;
    table.AddRow({title, CandidateText(member->candidate), fmt::format("{:.4f}", *member->outcome.score)});
  };
  add("best EMA", BestOf(summary.population, /*only_ema=*/true));
  add("LCSC", BestOf(summary.population));
  return fmt::format(
      "{}\nsearch noise: {}; reference {}\n{} evaluations in {}, workers busy {:.0f}% of the time; run {}{}\n",
      table.ToString(), NoiseText(options), options.reference, summary.evaluations, FormatDuration(summary.seconds),
      100 * summary.utilisation, run, summary.interrupted ? "; interrupted, the same command resumes it" : "");
}

}  // namespace lcsc
