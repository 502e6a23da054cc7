#include "app/report_sections.h"

#include <torch/version.h>

#include <chrono>
#include <set>

#include "app/report.h"
#include "app/stage_use.h"
#include "lcsc/base/digest.h"
#include "lcsc/base/process.h"
#include "lcsc/base/progress.h"
#include "lcsc/search/race.h"

namespace lcsc {
namespace {

using NamedValues = std::vector<std::pair<std::string, std::string>>;

std::string ScoreName(const ReportFacts& facts) { return Objective(facts.evaluation.objective).Title(); }

std::string Number(const std::optional<double>& score) { return score ? fmt::format("{:.4f}", *score) : "none"; }

std::string NoiseOf(const Baselines::Noise& noise) {
  return fmt::format("noise seed {}, {} samples", noise.seed, noise.num_samples);
}

std::string TileHtml(const std::string& value, const std::string& what, const std::string& more) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span><span>{}</span></div>\n", EscapeHtml(value),
                     EscapeHtml(what), EscapeHtml(more));
}

std::string GainText(double best, double ema) {
  const char* kOver = "gain over the best EMA";
  return best > 0 && ema > 0 ? fmt::format("{}: {:.1f} %", kOver, 100 * (ema - best) / ema) : kOver;
}

const Baselines::Row* FindRow(const Baselines& baselines, const std::string& weights) {
  for (const Baselines::Row& row : baselines.rows) {
    if (row.weights == weights) return &row;
  }
  return nullptr;
}

// which: "EMA 0.9963" or "last checkpoint".
std::string EmaText(const std::string& which) {
  return which.starts_with("EMA") ? "best " + which : "best EMA: " + which;
}

std::string ScoreTiles(const ReportFacts& facts) {
  const EvaluatedCandidate *best = facts.best(), *ema = facts.best_ema();
  if (best == nullptr || ema == nullptr) return "";
  const auto noise = [&](const char* which, std::int64_t num_samples) {
    return fmt::format("{}, {} noise, n = {}", ScoreName(facts), which, num_samples);
  };
  const std::string search_noise = noise("search", facts.evaluation.num_samples);
  const double of_best = *best->outcome.score, of_ema = *ema->outcome.score;
  std::string html = TileHtml(Number(of_best), "best: " + CandidateText(best->candidate), search_noise) +
                     TileHtml(Number(of_ema), EmaText(CandidateText(ema->candidate)), search_noise) +
                     TileHtml(Number(of_ema - of_best), GainText(of_best, of_ema), search_noise);
  if (!facts.baselines) return html;
  const std::string held_out = noise("held-out", facts.baselines->held_out_noise.num_samples);
  if (const Baselines::Row* row = FindRow(*facts.baselines, "LCSC")) {
    html += TileHtml(Number(row->held_out), "LCSC: " + row->which, held_out);
  }
  if (const Baselines::Row* row = FindRow(*facts.baselines, "best EMA")) {
    html += TileHtml(Number(row->held_out), EmaText(row->which), held_out);
  }
  return html;
}

std::string HowManyFailed(const ReportFacts& facts) {
  constexpr std::size_t kReasonsShown = 5;
  std::int64_t failed = 0;
  std::set<std::string> reasons;
  for (const EvaluatedCandidate& member : facts.snapshot.population) {
    if (member.outcome.score || IsStopped(member.outcome)) continue;
    ++failed;
    if (reasons.size() < kReasonsShown) reasons.insert(member.outcome.failure);
  }
  return failed == 0 ? "none" : fmt::format("{}: {}", failed, fmt::join(reasons, "; "));
}

std::string RacesText(const ReportFacts& facts) {
  std::int64_t stopped = 0, drawn = 0;
  for (const EvaluatedCandidate& member : facts.snapshot.population) {
    if (IsStopped(member.outcome)) ++stopped;
    drawn += SamplesDrawn(member.outcome, facts.evaluation.num_samples);
  }
  if (stopped == 0) return "none";
  const auto all =
      static_cast<double>(facts.snapshot.population.size()) * static_cast<double>(facts.evaluation.num_samples);
  return fmt::format("{} candidates, stopped early; {:.1f} % of the samples were drawn", stopped,
                     100 * static_cast<double>(drawn) / all);
}

std::string UtcText(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string PairHtml(const ImagePair& pair) {
  return fmt::format(
      "<figure><div><img src=\"{}\" alt=\"best EMA, sample {}\"><img src=\"{}\" alt=\"best candidate, sample {}\">"
      "</div><figcaption>sample {}: {:.4g}</figcaption></figure>\n",
      PngUri(pair.ema_png), pair.sample, PngUri(pair.best_png), pair.sample, pair.sample, pair.distance);
}

}  // namespace

std::string SearchNoiseText(const ReportFacts& facts) {
  return fmt::format("{}, search noise ({})", ScoreName(facts), NoiseText(facts.evaluation));
}

PageSection SummarySection(const ReportFacts& facts) {
  const PopulationSnapshot& snapshot = facts.snapshot;
  std::string body = "<div class=\"tiles\">\n" + ScoreTiles(facts);
  body += TileHtml(fmt::format("{} of {}", snapshot.population.size(), snapshot.planned_evaluations), "evaluations",
                   "in " + FormatDuration(snapshot.seconds) + ", all sessions");
  body += "</div>\n";
  std::string text = fmt::format("Smaller is better. Scores are {}: the search chose by them, so they are optimistic.",
                                 SearchNoiseText(facts));
  if (facts.baselines) {
    text +=
        fmt::format(" Held-out noise: {}; the search never saw it. Scores of different sample counts do not compare.",
                    NoiseOf(facts.baselines->held_out_noise));
  }
  return {"summary", "Summary",
          body + ParagraphHtml(text) +
              FactsHtml({{"state", RunStateName(snapshot.state)},
                         {"search", facts.headline},
                         {"strategy", facts.search.strategy},
                         {"objective", facts.evaluation.objective},
                         {"failed", HowManyFailed(facts)},
                         {"races lost", RacesText(facts)}})};
}

PageSection StagesSection(const ReportFacts& facts) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [stage, median_s, share] : StageUses(facts.snapshot.population)) {
    rows.push_back({NameOf(stage), fmt::format("{:.4g}", median_s), fmt::format("{:.1f} %", 100 * share)});
  }
  std::string body = TableHtml({"stage", "seconds per candidate (median)", "share of all stages' time"}, rows);
  body += ParagraphHtml(
      "Times on the leader of a candidate's group. Stages of neighbouring candidates overlap, so they may add up to "
      "more "
      "than the wall time.");
  NamedValues use = {
      {"groups sampling", fmt::format("{:.0f} % of the time, in the last session", 100 * facts.snapshot.utilisation)}};
  if (facts.snapshot.seconds > 0) {
    use.emplace_back(
        "evaluations per hour",
        fmt::format("{:.1f}", 3600 * static_cast<double>(facts.snapshot.population.size()) / facts.snapshot.seconds));
  }
  use.emplace_back("workers lost", fmt::format("{} crashes or hangs", facts.snapshot.accusations.size()));
  return {"stages", "Stages and utilisation", body + FactsHtml(use)};
}

PageSection BaselinesSection(const ReportFacts& facts) {
  if (!facts.baselines) {
    return {"baselines", "Baselines",
            fmt::format("<p>Not measured yet. <code>lcsc baselines {}</code> compares the result with the last "
                        "checkpoint, the best single one and the best EMA, on noise that the search never saw; then "
                        "make this report again.</p>\n",
                        EscapeHtml(facts.folder.string()))};
  }
  const Baselines& baselines = *facts.baselines;
  std::vector<std::vector<std::string>> rows;
  for (const Baselines::Row& row : baselines.rows) {
    rows.push_back({row.weights, row.which, Number(row.search), Number(row.held_out)});
    for (const std::optional<double>& audit : row.audits) rows.back().push_back(Number(audit));
  }
  const auto column = [&](const char* which, const Baselines::Noise& noise) {
    return fmt::format("{}, {} noise, n = {}", ScoreName(facts), which, noise.num_samples);
  };
  std::vector<std::string> header = {"weights", "which", column("search", baselines.search_noise),
                                     column("held-out", baselines.held_out_noise)};
  for (const std::string& extractor : baselines.audit_extractors) {
    header.push_back(column("held-out", baselines.held_out_noise) + ", under " + extractor);
  }
  return {"baselines", "Baselines",
          TableHtml(header, rows) +
              ParagraphHtml(fmt::format("Search noise: {}. Held-out noise: {}. Scores depend on the number of samples: "
                                        "compare within a column. Measured when lcsc baselines ran last.",
                                        NoiseOf(baselines.search_noise), NoiseOf(baselines.held_out_noise)))};
}

PageSection SamplesSection(const ReportFacts& facts, const SampleSheet& sheet) {
  constexpr std::int64_t kSmallSide = 64;
  PageSection section{"samples", "Samples", ""};
  if (!sheet.pairs) {
    section.body = ParagraphHtml("No images: " + sheet.reason);
    return section;
  }
  const ImagePairs& all = *sheet.pairs;
  section.body = ParagraphHtml(fmt::format(
      "Left the best EMA ({}), right the best candidate ({}), from the same noise: samples 0 to {} of noise seed {}, "
      "which the search did not use (its seed is {}). All that were drawn are shown, the largest distance first. "
      "Distance: {}.",
      CandidateText(facts.best_ema()->candidate), CandidateText(facts.best()->candidate), all.pairs.size() - 1,
      sheet.seed, facts.evaluation.seed, all.distance));
  section.body += fmt::format("<div class=\"pairs{}\">\n", all.width <= kSmallSide ? " small" : "");
  for (const ImagePair& pair : all.pairs) section.body += PairHtml(pair);
  section.body += "</div>\n";
  section.body += ParagraphHtml(
      fmt::format("{} x {} pixels{}.", all.width, all.height,
                  all.shown_divisor == 1 ? "" : fmt::format(", shown at 1/{} of that", all.shown_divisor)));
  return section;
}

PageSection LandscapeSection(const LandscapeFacts& landscape) {
  const std::string image =
      fmt::format("<p><img class=\"picture\" src=\"{}\" alt=\"landscape of scores\"></p>\n", PngUri(landscape.png));
  return {"landscape", "Landscape", image + (landscape.facts.empty() ? "" : FactsHtml(landscape.facts))};
}

PageSection ProvenanceSection(const ReportFacts& facts) {
  const PopulationSnapshot& snapshot = facts.snapshot;
  NamedValues run = {{"run directory", facts.folder.string()},
                     {"trajectory", facts.evaluation.trajectory + (facts.trajectory ? "" : ": " + facts.no_trajectory)},
                     {"checkpoints", facts.trajectory ? fmt::format("{}", facts.trajectory->num_checkpoints()) : "?"},
                     {"extractor", facts.evaluation.extractor},
                     {"reference", facts.evaluation.reference},
                     {"last snapshot", UtcText(std::chrono::system_clock::from_time_t(snapshot.updated_s))},
                     {"digest of the population", PopulationDigest(snapshot.population)}};
  for (const auto& [key, value] : snapshot.identity) {
    if (key.starts_with("digest of ")) run.emplace_back(key, value);
  }
  const NamedValues program = {{"lcsc", fmt::format("{} (digest {})", LCSC_VERSION, DigestOfFile("/proc/self/exe"))},
                               {"LibTorch", TORCH_VERSION},
                               {"compiler", __VERSION__},
                               {"host", HostName()},
                               {"written", UtcText(std::chrono::system_clock::now())}};
  return {"provenance", "Provenance",
          "<h3>The run</h3>\n" + FactsHtml(run) + "<h3>The program that wrote this page</h3>\n" + FactsHtml(program) +
              fmt::format("<h3>config.ini</h3>\n<details><summary>every option of the search</summary>\n"
                          "<pre>{}</pre></details>\n",
                          EscapeHtml(facts.config))};
}

}  // namespace lcsc
