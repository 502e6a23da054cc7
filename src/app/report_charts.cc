// The sections of `lcsc report` that are charts.
#include <algorithm>
#include <cmath>
#include <functional>

#include "app/report.h"
#include "app/report_sections.h"
#include "lcsc/report/chart.h"
#include "lcsc/search/improvements.h"

namespace lcsc {
namespace {

enum Color { kBestColor = 1, kEmaColor = 2, kHeldOutColor = 3, kEachColor = 4, kStepColor = 5 };

struct TimeUnit {
  const char* name;
  double seconds;
};

TimeUnit UnitFor(double longest_s) {
  if (longest_s < 600) return {"s", 1};
  return longest_s < 3 * 3600 ? TimeUnit{"min", 60} : TimeUnit{"h", 3600};
}

// Where a candidate stands on the x axis; nothing when that is not known.
using PlaceOf = std::function<std::optional<double>(std::int64_t id)>;

std::map<std::int64_t, double> EvaluationPlaces(const PopulationSnapshot& snapshot) {
  std::map<std::int64_t, double> places;
  for (const EvaluatedCandidate& member : snapshot.population) {
    places[member.candidate.id] = static_cast<double>(places.size() + 1);
  }
  return places;
}

std::vector<ChartPoint> PointsOf(const ReportFacts& facts, bool wants_gradient, const PlaceOf& place_of) {
  std::vector<ChartPoint> points;
  for (const EvaluatedCandidate& member : facts.snapshot.population) {
    if (!member.outcome.score || member.candidate.wants_gradient != wants_gradient) continue;
    if (const auto x = place_of(member.candidate.id)) points.push_back({*x, *member.outcome.score});
  }
  std::ranges::sort(points, {}, &ChartPoint::x);
  return points;
}

// Drawn on to the last point of all.
std::vector<ChartPoint> BestSoFar(const std::vector<ChartPoint>& points, double end) {
  std::vector<ChartPoint> best;
  for (const ChartPoint& point : points) {
    if (best.empty() || point.y < best.back().y) best.push_back(point);
  }
  if (!best.empty()) best.push_back({end, best.back().y});
  return best;
}

// Of the candidates that `lcsc baselines` measured: those of the population with the same coefficients.
std::vector<ChartPoint> HeldOutPoints(const ReportFacts& facts, const PlaceOf& place_of) {
  std::vector<ChartPoint> points;
  if (!facts.baselines) return points;
  std::map<Coefficients, double> scores;
  for (const std::vector<Baselines::Row>* rows : {&facts.baselines->rows, &facts.baselines->curve}) {
    for (const Baselines::Row& row : *rows) {
      if (row.held_out) scores[row.coefficients] = *row.held_out;
    }
  }
  for (const EvaluatedCandidate& member : facts.snapshot.population) {
    const auto score = scores.find(member.candidate.coefficients);
    const auto x = score == scores.end() ? std::nullopt : place_of(member.candidate.id);
    if (x) points.push_back({*x, score->second});
  }
  std::ranges::sort(points, {}, &ChartPoint::x);
  return points;
}

// Above what one need not see: far behind the best EMA.
std::optional<double> MostScore(const ReportFacts& facts, const std::vector<ChartPoint>& best,
                                const std::vector<ChartPoint>& held_out) {
  constexpr double kGainsShown = 4;
  const EvaluatedCandidate* ema = facts.best_ema();
  if (best.empty() || ema == nullptr) return std::nullopt;
  const double first = best.front().y, last = best.back().y, of_ema = *ema->outcome.score;
  double most = of_ema > last ? std::min(first, last + kGainsShown * (of_ema - last)) : first;
  for (const ChartPoint& point : held_out) most = std::max(most, point.y);
  return most;
}

LineChart ConvergenceChart(const ReportFacts& facts, const PlaceOf& place_of) {
  const std::vector<ChartPoint> each = PointsOf(facts, /*wants_gradient=*/false, place_of);
  const std::vector<ChartPoint> steps = PointsOf(facts, /*wants_gradient=*/true, place_of);
  const std::vector<ChartPoint> held_out = HeldOutPoints(facts, place_of);
  double end = 0;
  for (const auto* points : {&each, &steps}) {
    if (!points->empty()) end = std::max(end, points->back().x);
  }
  const std::vector<ChartPoint> best = BestSoFar(each, end);
  LineChart chart;
  const auto add = [&chart](ChartSeries series) {
    if (!series.points.empty()) chart.series.push_back(std::move(series));
  };
  add({.name = "each candidate, search noise", .form = SeriesForm::kDots, .color = kEachColor, .points = each});
  add({.name = "steps of a descent, noise of their own",
       .form = SeriesForm::kDots,
       .color = kStepColor,
       .points = steps});
  if (const EvaluatedCandidate* ema = facts.best_ema(); ema != nullptr && !best.empty()) {
    add({.name = "best EMA, search noise",
         .form = SeriesForm::kSteps,
         .color = kEmaColor,
         .is_dashed = true,
         .points = {{best.front().x, *ema->outcome.score}, {end, *ema->outcome.score}}});
  }
  add({.name = "best so far, search noise", .form = SeriesForm::kSteps, .color = kBestColor, .points = best});
  add({.name = "best so far, held-out noise", .form = SeriesForm::kLine, .color = kHeldOutColor, .points = held_out});
  chart.most_y = MostScore(facts, best, held_out);
  return chart;
}

std::int64_t CountAbove(const LineChart& chart) {
  std::int64_t count = 0;
  for (const ChartSeries& series : chart.series) {
    if (series.form != SeriesForm::kDots || !chart.most_y) continue;
    count += std::ranges::count_if(series.points, [&](const ChartPoint& p) { return p.y > *chart.most_y; });
  }
  return count;
}

std::string NotesHtml(const ReportFacts& facts, const LineChart& chart) {
  std::string text = "Dots and the stepped line: " + SearchNoiseText(facts) + ", by which the search chose.";
  if (facts.baselines) {
    const auto& [seed, num_samples] = facts.baselines->held_out_noise;
    text += fmt::format(" Held-out noise: noise seed {}, {} samples, measured afterwards by lcsc baselines.", seed,
                        num_samples);
  }
  const bool has_steps = std::ranges::any_of(facts.snapshot.population, [](const EvaluatedCandidate& member) {
    return member.candidate.wants_gradient && member.outcome.score;
  });
  if (has_steps) text += " Steps of a descent have noise blocks of their own, behind the search's samples.";
  if (const std::int64_t above = CountAbove(chart); above > 0) {
    text += fmt::format(" {} candidates are worse than {:.4g} and may lie above the charts.", above, *chart.most_y);
  }
  const auto untimed = std::ranges::count_if(facts.snapshot.population, [&](const EvaluatedCandidate& member) {
    return !facts.times.told_s.contains(member.candidate.id);
  });
  if (untimed > 0) text += fmt::format(" Of {} evaluations metrics.jsonl does not say when they ended.", untimed);
  if (facts.times.unreadable_lines > 0) {
    text += fmt::format(" {} lines of metrics.jsonl cannot be read.", facts.times.unreadable_lines);
  }
  return ParagraphHtml(text);
}

std::string HowToHtml(const ReportFacts& facts) {
  if (facts.baselines && !facts.baselines->curve.empty()) return "";
  return fmt::format(
      "<p class=\"soft\">For a curve on held-out noise: <code>lcsc baselines {} --curve 12</code>, then this report "
      "again.</p>\n",
      EscapeHtml(facts.folder.string()));
}

std::vector<std::string> CheckpointNames(const ReportFacts& facts, std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) {
    names.push_back(
        fmt::format("{}", facts.trajectory ? facts.trajectory->steps[i] : static_cast<std::int64_t>(i + 1)));
  }
  return names;
}

BarChart CoefficientChart(const ReportFacts& facts, const std::string& title, const EvaluatedCandidate& member) {
  const Coefficients& coefficients = member.candidate.coefficients;
  return {.title = title + ": " + CandidateText(member.candidate),
          .x_label = facts.trajectory ? "training step of the checkpoint" : "checkpoint, in order of steps",
          .y_label = "coefficient",
          .names = CheckpointNames(facts, coefficients.size()),
          .values = coefficients};
}

std::string ShapeText(const Coefficients& coefficients) {
  const auto negative = std::ranges::count_if(coefficients, [](double a) { return a < 0; });
  double size = 0;
  for (const double a : coefficients) size += std::abs(a);
  return fmt::format("{} of {} are negative; their sizes sum to {:.3f}, to 1 if none were", negative,
                     coefficients.size(), size);
}

}  // namespace

PageSection ConvergenceSection(const ReportFacts& facts) {
  const std::string score = Objective(facts.evaluation.objective).Title();
  const auto places = EvaluationPlaces(facts.snapshot);
  LineChart by_evaluations = ConvergenceChart(facts, [&](std::int64_t id) -> std::optional<double> {
    const auto place = places.find(id);
    return place == places.end() ? std::nullopt : std::optional(place->second);
  });
  by_evaluations.title = score + " against evaluations";
  by_evaluations.x_label = "evaluations";
  by_evaluations.y_label = score;
  const std::map<std::int64_t, double>& told_s = facts.times.told_s;
  double longest_s = 0;
  for (const auto& [id, seconds] : told_s) longest_s = std::max(longest_s, seconds);
  const TimeUnit unit = UnitFor(longest_s);
  LineChart by_time = ConvergenceChart(facts, [&](std::int64_t id) -> std::optional<double> {
    const auto told = told_s.find(id);
    return told == told_s.end() || !places.contains(id) ? std::nullopt : std::optional(told->second / unit.seconds);
  });
  by_time.title = score + " against time";
  by_time.x_label = fmt::format("wall time of the search, {}", unit.name);
  by_time.y_label = score;
  return {"convergence", "Convergence",
          "<div class=\"charts\">\n" + LineChartHtml(by_evaluations) + LineChartHtml(by_time) + "</div>\n" +
              NotesHtml(facts, by_evaluations) + HowToHtml(facts)};
}

PageSection CoefficientsSection(const ReportFacts& facts) {
  const EvaluatedCandidate *best = facts.best(), *ema = facts.best_ema();
  if (best == nullptr || ema == nullptr) {
    return {"coefficients", "Coefficients", ParagraphHtml("No candidate has a score yet.")};
  }
  BarChart of_ema = CoefficientChart(facts, "Best EMA", *ema), of_best = CoefficientChart(facts, "Best", *best);
  for (BarChart* chart : {&of_ema, &of_best}) {
    for (const EvaluatedCandidate* member : {ema, best}) {
      const auto [low, high] = std::ranges::minmax(member->candidate.coefficients);
      chart->low = std::min(chart->low, low);
      chart->high = std::max(chart->high, high);
    }
  }
  of_ema.color = kEmaColor;
  of_best.color = kBestColor;
  return {"coefficients", "Coefficients",
          "<div class=\"charts\">\n" + BarChartHtml(of_ema) + BarChartHtml(of_best) + "</div>\n" +
              ParagraphHtml(fmt::format("Both on one scale; each sums to 1. Of the best ({}), {}.",
                                        CandidateText(best->candidate), ShapeText(best->candidate.coefficients)))};
}

}  // namespace lcsc
