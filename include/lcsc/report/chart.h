// Charts as inline SVG inside <figure>, with a legend in HTML. Colours are those of the page's style (report/html.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lcsc {

// Round numbers from at or below `low` to at or above `high`.
struct Axis {
  double low = 0, high = 1;
  double step = 1;
  std::vector<double> ticks() const;
  // A tick as its label says it: "0.05", "12k", "3M".
  std::string TextOf(double tick) const;
};
// REQUIRES: finite, low <= high; most_ticks >= 2. A range of no width is widened.
Axis MakeAxis(double low, double high, int most_ticks);

struct ChartPoint {
  double x = 0, y = 0;
};

enum class SeriesForm {
  kSteps,  // stays at y until the next point
  kLine,   // with a dot at each point
  kDots
};

inline constexpr int kChartColors = 5;  // numbered from 1

struct ChartSeries {
  std::string name;
  SeriesForm form = SeriesForm::kLine;
  int color = 1;
  bool is_dashed = false;
  std::vector<ChartPoint> points;  // those that are not finite are not drawn
};

struct LineChart {
  std::string title, x_label, y_label;  // text
  std::vector<ChartSeries> series;      // later ones are drawn over earlier ones
  // Dots above are not drawn, lines end at the top edge. Nothing: everything is shown.
  std::optional<double> most_y = {};
};
// A sentence in place of the chart when it has no point, or values too far apart for a double to span.
std::string LineChartHtml(const LineChart& chart);

struct BarChart {
  std::string title, x_label, y_label;
  std::vector<std::string> names;  // of the bars; as many as values
  std::vector<double> values;      // finite
  int color = 1;
  double low = 0, high = 0;  // the least range of the y axis, so that charts side by side share one
};
std::string BarChartHtml(const BarChart& chart);

}  // namespace lcsc
