#include "app/report.h"

#include <spdlog/fmt/fmt.h>

#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/table.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/model/registry.h"

namespace lcsc {

nlohmann::json ScoreJson(const EvaluatedCandidate* member) {
  return member == nullptr ? nlohmann::json() : nlohmann::json(*member->outcome.score);
}

std::string NoiseText(const EvaluationOptions& options) {
  return fmt::format("noise seed {}, {} samples", options.seed, options.num_samples);
}

nlohmann::json MeasureJson(const EvaluationOptions& options) {
  const nlohmann::json network = NetworkConfigOf(SafetensorsFile(options.extractor));
  return {{"protocol", network.value("model_type", std::string("unknown"))},
          {"extractor", options.extractor},
          {"extractor_digest", DigestOfFile(options.extractor)},
          {"reference", options.reference},
          {"reference_digest", DigestOfFile(options.reference)}};
}

std::string MeasureText(const EvaluationOptions& options) {
  const nlohmann::json measure = MeasureJson(options);
  const auto text = [&](const char* key) { return measure[key].get<std::string>(); };
  return fmt::format("{} extractor {} (digest {:.8})\nreference {} (digest {:.8})\n", text("protocol"),
                     text("extractor"), text("extractor_digest"), text("reference"), text("reference_digest"));
}

void CheckDrawable(const Denoiser& network, const std::string& option) {
  if (network.img_channels() == 1 || network.img_channels() == 3) return;
  throw ConfigError("{}: expected images of 1 or 3 channels, found {}; leave the option out", option,
                    network.img_channels());
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
  return fmt::format("{}\nsearch noise: {}\n{}{} evaluations in {}, workers busy {:.0f}% of the time; run {}{}\n",
                     table.ToString(), NoiseText(options), MeasureText(options), summary.evaluations,
                     FormatDuration(summary.seconds), 100 * summary.utilisation, run,
                     summary.interrupted ? "; interrupted, the same command resumes it" : "");
}

}  // namespace lcsc
