#include "app/report.h"

#include <spdlog/fmt/fmt.h>

#include <cstdio>
#include <map>

#include "app/stage_use.h"
#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lcsc/base/log.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/table.h"
#include "lcsc/model/registry.h"
#include "lcsc/search/race.h"
#include "lcsc/service/reference_check.h"

namespace lcsc {

nlohmann::json ScoreJson(const EvaluatedCandidate* member) {
  return member == nullptr ? nlohmann::json() : nlohmann::json(*member->outcome.score);
}

std::string NoiseText(const EvaluationOptions& options) {
  return fmt::format("noise seed {}, {} samples", options.seed, options.num_samples);
}

nlohmann::json MeasureJson(const EvaluationOptions& options, const MetricSet& metrics) {
  nlohmann::json json = nlohmann::json::object();
  const auto add_file = [&json](const std::string& what, const std::string& file) {
    json[what] = file;
    json[what + "_digest"] = DigestOfFile(file);
  };
  if (NeedsExtractor(metrics)) {
    json["protocol"] = ExtractorProtocol(options.extractor, options.extraction);
    add_file("extractor", options.extractor);
  }
  if (NeedsReference(metrics)) add_file("reference", options.reference);
  if (metrics.contains(Metric::kScore)) add_file("scorer", options.scorer);
  if (!options.conditioning.empty()) add_file("conditioning", options.conditioning);
  return json;
}

nlohmann::json MeasureJson(const EvaluationOptions& options) {
  nlohmann::json json = MeasureJson(options, Objective(options.objective).metrics());
  json["objective"] = options.objective;
  return json;
}

std::string MeasureText(const EvaluationOptions& options) {
  const nlohmann::json measure = MeasureJson(options);
  std::string text = options.objective == "fid" ? "" : fmt::format("objective {}\n", options.objective);
  for (const char* what : {"extractor", "reference", "scorer", "conditioning"}) {
    if (!measure.contains(what)) continue;
    const std::string protocol = what == std::string("extractor") ? measure["protocol"].get<std::string>() + " " : "";
    text += fmt::format("{}{} {} (digest {:.8})\n", protocol, what, measure[what].get<std::string>(),
                        measure[std::string(what) + "_digest"].get<std::string>());
  }
  return text;
}

void WarnOfReference(const World& world, const EvaluationOptions& options, const MetricSet& metrics) {
  if (world.world_rank != 0 || !NeedsReference(metrics)) return;
  const std::string assumption = ReferenceAssumption(options);
  if (!assumption.empty()) spdlog::warn("{}", assumption);
}

void WarnOfReference(const World& world, const EvaluationOptions& options) {
  WarnOfReference(world, options, Objective(options.objective).metrics());
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

std::string StageTable(const SearchSummary& summary) {
  Table table({"stage", "s per candidate (median)", "share of all stages' time"});
  for (const StageUse& use : StageUses(summary.population)) {
    table.AddRow({NameOf(use.stage), fmt::format("{:.4g}", use.median_s), fmt::format("{:.1f} %", 100 * use.share)});
  }
  return table.ToString();
}

void PrintResult(const nlohmann::json& result, bool as_json) {
  if (as_json) {
    std::printf("%s\n", result.dump().c_str());
    return;
  }
  Table table({"what", "value"});
  for (const auto& [key, value] : result.items()) {
    table.AddRow({key, value.is_string() ? value.get<std::string>() : value.dump()});
  }
  std::fputs(table.ToString().c_str(), stdout);
}

namespace {

// How much of a score is the noise's own: what the same weights score where gradients were taken and where points of
// descents are chosen, at the best point that has both.
std::string GapText(const SearchSummary& summary) {
  std::map<Coefficients, const EvaluatedCandidate*> chosen_by;
  for (const EvaluatedCandidate& member : summary.population) {
    if (!member.candidate.wants_gradient && member.outcome.score) chosen_by[member.candidate.coefficients] = &member;
  }
  const EvaluatedCandidate *best = nullptr, *twin = nullptr;
  for (const EvaluatedCandidate& member : summary.population) {
    if (!member.candidate.wants_gradient || !member.outcome.score) continue;
    const auto other = chosen_by.find(member.candidate.coefficients);
    if (other == chosen_by.end() || (best != nullptr && *best->outcome.score <= *other->second->outcome.score))
      continue;
    best = other->second;
    twin = &member;
  }
  if (best == nullptr) return "";
  const double score = *best->outcome.score, searched = *twin->outcome.score;
  return fmt::format(
      "gap: the weights of candidate {} score {:.4f} on the noise that points are chosen by, and {:.4f} on noise that "
      "gradients were taken on (block {}): {:+.4f}\n",
      best->candidate.id, score, searched, twin->candidate.noise_block, score - searched);
}

std::string RaceText(const SearchSummary& summary, const EvaluationOptions& options) {
  std::int64_t stopped = 0, drawn = 0;
  for (const EvaluatedCandidate& member : summary.population) {
    if (IsStopped(member.outcome)) ++stopped;
    drawn += SamplesDrawn(member.outcome, options.num_samples);
  }
  if (stopped == 0) return "";
  const auto all = static_cast<double>(summary.evaluations * options.num_samples);
  return fmt::format("racing: {} candidates were stopped; {:.1f} % of the samples were drawn\n", stopped,
                     100 * static_cast<double>(drawn) / all);
}

}  // namespace

std::string SearchTable(const SearchSummary& summary, const EvaluationOptions& options, const std::string& run) {
  Table table({"weights", "which", Objective(options.objective).Title() + " (search noise)"});
  const auto add = [&](const char* title, const EvaluatedCandidate* member) {
    if (member == nullptr) return;
    table.AddRow({title, CandidateText(member->candidate), fmt::format("{:.4f}", *member->outcome.score)});
  };
  const std::string notes = GapText(summary) + RaceText(summary, options);
  add("best EMA", BestOf(summary.population, /*only_ema=*/true));
  add("LCSC", BestOf(summary.population));
  return fmt::format(
      "{}\nsearch noise: {}\n{}\n{}\n{}{} evaluations in {}; groups sampled {:.0f}% of the time, all stages together "
      "took "
      "{:.0f}% of it; run {}{}\n",
      table.ToString(), NoiseText(options), MeasureText(options), StageTable(summary), notes, summary.evaluations,
      FormatDuration(summary.seconds), 100 * summary.utilisation, 100 * summary.stage_share, run,
      summary.interrupted ? "; interrupted, the same command resumes it" : "");
}

}  // namespace lcsc
