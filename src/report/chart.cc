#include "lcsc/report/chart.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "lcsc/base/error.h"
#include "lcsc/report/html.h"

namespace lcsc {
namespace {

// In the units of the SVG, which the page scales to its width: about a pixel on a phone.
constexpr double kWidth = 440, kHeight = 280;
constexpr double kLeft = 56, kRight = 12, kTop = 12, kBottom = 44;
constexpr int kMostXTicks = 6, kMostYTicks = 6;

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void Include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool IsDrawable() const { return low <= high && std::isfinite(high - low); }
};

// Where a chart's values stand in its SVG.
struct Frame {
  Axis x, y;
  double X(double value) const { return kLeft + (value - x.low) / (x.high - x.low) * (kWidth - kLeft - kRight); }
  double Y(double value) const {
    return kHeight - kBottom - (std::min(value, y.high) - y.low) / (y.high - y.low) * (kHeight - kTop - kBottom);
  }
};

std::string YAxisSvg(const Frame& frame, const std::string& label) {
  std::string svg;
  for (const double tick : frame.y.ticks()) {
    const double y = frame.Y(tick);
    svg += fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>", kLeft, y, kWidth - kRight);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", kLeft - 6, y + 4,
                       frame.y.TextOf(tick));
  }
  return svg + fmt::format("<text transform=\"translate(12 {:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
                           (kHeight - kBottom + kTop) / 2, EscapeHtml(label));
}

std::string XTickSvg(double x, const std::string& label) {
  const double bottom = kHeight - kBottom;
  return fmt::format(
      "<path class=\"axis\" d=\"M{0:.1f} {1:.1f}v4\"/><text x=\"{0:.1f}\" y=\"{2:.1f}\" "
      "text-anchor=\"middle\">{3}</text>",
      x, bottom, bottom + 17, EscapeHtml(label));
}

std::string XLabelSvg(const std::string& label) {
  return fmt::format(
      "<path class=\"axis\" d=\"M{:.1f} {:.1f}H{:.1f}\"/><text x=\"{:.1f}\" y=\"{:.1f}\" "
      "text-anchor=\"middle\">{}</text>\n",
      kLeft, kHeight - kBottom, kWidth - kRight, (kWidth - kRight + kLeft) / 2, kHeight - 6, EscapeHtml(label));
}

std::string XAxisSvg(const Frame& frame, const std::string& label) {
  std::string svg;
  for (const double tick : frame.x.ticks()) svg += XTickSvg(frame.X(tick), frame.x.TextOf(tick));
  return svg + XLabelSvg(label);
}

std::vector<ChartPoint> FinitePoints(const ChartSeries& series) {
  std::vector<ChartPoint> points;
  std::ranges::copy_if(series.points, std::back_inserter(points),
                       [](const ChartPoint& p) { return std::isfinite(p.x) && std::isfinite(p.y); });
  return points;
}

// Dots that fall onto one spot are one dot.
std::string DotsPath(const std::vector<ChartPoint>& points, const Frame& frame) {
  std::set<std::pair<long, long>> spots;
  for (const ChartPoint& point : points) {
    if (point.y > frame.y.high) continue;
    spots.emplace(std::lround(10 * frame.X(point.x)), std::lround(10 * frame.Y(point.y)));
  }
  std::string path;
  for (const auto& [x, y] : spots) {
    path += fmt::format("M{:.1f} {:.1f}h0", static_cast<double>(x) / 10, static_cast<double>(y) / 10);
  }
  return path;
}

std::string CurvePath(const std::vector<ChartPoint>& points, SeriesForm form, const Frame& frame) {
  std::string path;
  for (const ChartPoint& point : points) {
    const double x = frame.X(point.x), y = frame.Y(point.y);
    if (path.empty()) {
      path = fmt::format("M{:.1f} {:.1f}", x, y);
    } else {
      path += form == SeriesForm::kSteps ? fmt::format("H{:.1f}V{:.1f}", x, y) : fmt::format("L{:.1f} {:.1f}", x, y);
    }
  }
  return path;
}

std::string SeriesSvg(const ChartSeries& series, const Frame& frame) {
  LCSC_CHECK(series.color >= 1 && series.color <= kChartColors);
  const std::vector<ChartPoint> points = FinitePoints(series);
  const auto path = [&](const char* kind, const std::string& d) {
    return fmt::format("<path class=\"{} s{}{}\" d=\"{}\"/>\n", kind, series.color,
                       series.is_dashed && kind == std::string("curve") ? " dashed" : "", d);
  };
  if (series.form == SeriesForm::kDots) return path("dots", DotsPath(points, frame));
  const std::string curve = path("curve", CurvePath(points, series.form, frame));
  return series.form == SeriesForm::kLine ? curve + path("marks", DotsPath(points, frame)) : curve;
}

std::string LegendHtml(const std::vector<ChartSeries>& all) {
  std::string html = "<div class=\"legend\">";
  for (const ChartSeries& series : all) {
    const std::string form = series.form == SeriesForm::kDots ? "dots" : series.is_dashed ? "curve dashed" : "curve";
    const std::string path = series.form == SeriesForm::kDots ? "M6 5h0M13 5h0M20 5h0" : "M1 5H25";
    const std::string mark = series.form == SeriesForm::kLine && !series.is_dashed
                                 ? fmt::format("<path class=\"marks s{}\" d=\"M13 5h0\"/>", series.color)
                                 : "";
    html += fmt::format(
        "<span><svg viewBox=\"0 0 26 10\" aria-hidden=\"true\"><path class=\"{} s{}\" "
        "d=\"{}\"/>{}</svg>{}</span>",
        form, series.color, path, mark, EscapeHtml(series.name));
  }
  return html + "</div>\n";
}

std::string FigureHtml(const std::string& title, const std::string& svg, const std::string& below) {
  return fmt::format(
      "<figure><figcaption>{0}</figcaption>\n<svg viewBox=\"0 0 {1:.0f} {2:.0f}\" role=\"img\" "
      "aria-label=\"{0}\">\n{3}</svg>\n{4}</figure>\n",
      EscapeHtml(title), kWidth, kHeight, svg, below);
}

std::string NoChartHtml(const std::string& title, const std::string& reason) {
  return fmt::format("<figure><figcaption>{}</figcaption>{}</figure>\n", EscapeHtml(title), ParagraphHtml(reason));
}

std::string BarsSvg(const BarChart& chart, const Frame& frame) {
  const double slot = (kWidth - kLeft - kRight) / static_cast<double>(chart.values.size());
  std::string svg;
  for (std::size_t i = 0; i < chart.values.size(); ++i) {
    const double top = frame.Y(std::max(0.0, chart.values[i])), bottom = frame.Y(std::min(0.0, chart.values[i]));
    svg += fmt::format(
        "<rect class=\"f{}\" x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\"><title>{}: {:.6g}</title>"
        "</rect>\n",
        chart.color, kLeft + slot * (static_cast<double>(i) + 0.1), top, 0.8 * slot, std::max(bottom - top, 0.5),
        EscapeHtml(chart.names[i]), chart.values[i]);
  }
  const std::size_t every = (chart.values.size() + kMostXTicks - 1) / kMostXTicks;
  for (std::size_t i = 0; i < chart.values.size(); i += every) {
    svg += XTickSvg(kLeft + slot * (static_cast<double>(i) + 0.5), chart.names[i]);
  }
  return svg;
}

}  // namespace

std::vector<double> Axis::ticks() const {
  std::vector<double> all;
  const auto count = static_cast<int>(std::lround((high - low) / step));
  for (int i = 0; i <= count; ++i) {
    const double tick = low + i * step;
    all.push_back(std::abs(tick) < step / 1000 ? 0 : tick);
  }
  return all;
}

std::string Axis::TextOf(double tick) const {
  if (tick == 0) return "0";
  const double most = std::max(std::abs(low), std::abs(high));
  if (most >= 1e9 || most < 1e-3) return fmt::format("{:.3g}", tick);
  if (step >= 1e6) return fmt::format("{:g}M", tick / 1e6);
  if (step >= 1e3) return fmt::format("{:g}k", tick / 1e3);
  const int decimals = std::clamp(static_cast<int>(-std::floor(std::log10(step) + 1e-9)), 0, 9);
  return fmt::format("{:.{}f}", tick, decimals);
}

Axis MakeAxis(double low, double high, int most_ticks) {
  LCSC_CHECK(std::isfinite(low) && std::isfinite(high) && low <= high && most_ticks >= 2);
  const double least = std::max({std::abs(low), std::abs(high), 1e-12}) * 1e-9;
  if (high - low < least) {
    const double half = low == 0 ? 0.5 : std::abs(low) / 2;
    low -= half;
    high += half;
  }
  const double rough = (high - low) / (most_ticks - 1);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0, 10.0, 20.0}) {
    const double step = factor * power;
    const Axis axis{std::floor(low / step + 1e-9) * step, std::ceil(high / step - 1e-9) * step, step};
    if ((axis.high - axis.low) / step < most_ticks - 0.5) return axis;
  }
  return {low, high, high - low};
}

std::string LineChartHtml(const LineChart& chart) {
  Range x, y;
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : FinitePoints(series)) {
      x.Include(point.x);
      y.Include(std::min(point.y, chart.most_y.value_or(point.y)));
    }
  }
  if (x.low > x.high) return NoChartHtml(chart.title, "Nothing to draw yet.");
  if (!x.IsDrawable() || !y.IsDrawable()) return NoChartHtml(chart.title, "The values are too far apart to draw.");
  const Frame frame{MakeAxis(x.low, x.high, kMostXTicks), MakeAxis(y.low, y.high, kMostYTicks)};
  std::string svg = YAxisSvg(frame, chart.y_label) + XAxisSvg(frame, chart.x_label);
  for (const ChartSeries& series : chart.series) svg += SeriesSvg(series, frame);
  return FigureHtml(chart.title, svg, LegendHtml(chart.series));
}

std::string BarChartHtml(const BarChart& chart) {
  LCSC_CHECK(chart.names.size() == chart.values.size() && chart.color >= 1 && chart.color <= kChartColors);
  if (chart.values.empty()) return NoChartHtml(chart.title, "Nothing to draw yet.");
  Range y{std::min(0.0, chart.low), std::max(0.0, chart.high)};
  for (const double value : chart.values) y.Include(value);
  if (!y.IsDrawable()) return NoChartHtml(chart.title, "The values are too far apart to draw.");
  const Frame frame{{}, MakeAxis(y.low, y.high, kMostYTicks)};
  const std::string zero =
      fmt::format("<path class=\"axis\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n", kLeft, frame.Y(0), kWidth - kRight);
  return FigureHtml(chart.title,
                    YAxisSvg(frame, chart.y_label) + BarsSvg(chart, frame) + zero + XLabelSvg(chart.x_label), "");
}

}  // namespace lcsc
