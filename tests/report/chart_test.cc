#include "lcsc/report/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <regex>

namespace lcsc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> Texts(const Axis& axis) {
  std::vector<std::string> texts;
  for (const double tick : axis.ticks()) texts.push_back(axis.TextOf(tick));
  return texts;
}

std::size_t Count(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  return static_cast<std::size_t>(std::distance(std::sregex_iterator(text.begin(), text.end(), regex), {}));
}

TEST(AxisTest, TicksAreRoundAndEncloseTheValues) {
  EXPECT_THAT(Texts(MakeAxis(7.4, 29.3, 6)), ElementsAre("5", "10", "15", "20", "25", "30"));
  EXPECT_THAT(Texts(MakeAxis(1, 413, 6)), ElementsAre("0", "100", "200", "300", "400", "500"));
  EXPECT_THAT(Texts(MakeAxis(-0.12, 0.31, 6)), ElementsAre("-0.2", "0", "0.2", "0.4"));
  EXPECT_THAT(Texts(MakeAxis(0, 50000, 6)), ElementsAre("0", "10k", "20k", "30k", "40k", "50k"));
  EXPECT_THAT(Texts(MakeAxis(0, 4e6, 6)), ElementsAre("0", "1M", "2M", "3M", "4M"));
}

TEST(AxisTest, EveryRangeHasAnAxis) {
  for (const double low : {-1e300, -3.0, 0.0, 1e-300, 2.0, 1e6}) {
    for (const double width : {0.0, 1e-9, 0.7, 1e5, 1e299}) {
      for (const int most_ticks : {2, 3, 6}) {
        const Axis axis = MakeAxis(low, low + width, most_ticks);
        const double slack = 1e-6 * axis.step;
        EXPECT_LE(axis.low, low + slack) << low << " + " << width;
        EXPECT_GE(axis.high, low + width - slack) << low << " + " << width;
        EXPECT_GT(axis.high, axis.low);
        EXPECT_LE(axis.ticks().size(), static_cast<std::size_t>(most_ticks)) << low << " + " << width;
        EXPECT_GE(axis.ticks().size(), 2u) << low << " + " << width;
      }
    }
  }
}

LineChart SmallChart() {
  return {.title = "a < b",
          .x_label = "evaluations",
          .y_label = "FID",
          .series = {{.name = "all & each", .form = SeriesForm::kDots, .color = 4, .points = {{0, 10}, {5, 5}}},
                     {.name = "best", .form = SeriesForm::kSteps, .color = 1, .points = {{0, 10}, {10, 0}}}}};
}

// The plot spans x from 56 to 428 and y from 236 (low) up to 12 (high).
TEST(LineChartTest, PointsStandWhereTheyBelong) {
  const std::string chart = LineChartHtml(SmallChart());
  EXPECT_THAT(chart, HasSubstr("class=\"dots s4\" d=\"M56.0 12.0h0M242.0 124.0h0\""));
  EXPECT_THAT(chart, HasSubstr("class=\"curve s1\" d=\"M56.0 12.0H428.0V236.0\""));
  EXPECT_THAT(chart, HasSubstr("a &lt; b"));
  EXPECT_THAT(chart, HasSubstr("all &amp; each</span>"));
  EXPECT_THAT(chart, HasSubstr(">evaluations</text>"));
}

TEST(LineChartTest, WhatIsAboveTheChartIsLeftOut) {
  LineChart chart = SmallChart();
  chart.series[0].points.push_back({8, 1000});
  chart.most_y = 10;
  EXPECT_EQ(LineChartHtml(chart), LineChartHtml([] {
              LineChart same = SmallChart();
              same.most_y = 10;
              return same;
            }()));
  chart.most_y.reset();
  EXPECT_THAT(LineChartHtml(chart), HasSubstr(">1000</text>"));
}

TEST(LineChartTest, NoNumberThatIsNoneIsWritten) {
  LineChart chart = SmallChart();
  chart.series[1].points.push_back({NAN, 1});
  chart.series[1].points.push_back({11, INFINITY});
  EXPECT_EQ(LineChartHtml(chart), LineChartHtml(SmallChart()));
}

TEST(LineChartTest, WithoutPointsOrWithAnEndlessRangeItSaysSo) {
  EXPECT_THAT(LineChartHtml({.title = "t", .x_label = "x", .y_label = "y", .series = {}}),
              HasSubstr("Nothing to draw yet."));
  LineChart chart = SmallChart();
  chart.series[0].points = {{0, -1.5e308}, {1, 1.5e308}};
  EXPECT_THAT(LineChartHtml(chart), HasSubstr("too far apart"));
  chart.series = {{.name = "one", .points = {{3, 7}}}};
  EXPECT_THAT(LineChartHtml(chart), HasSubstr("M242.0 124.0"));
}

TEST(LineChartTest, DotsOnOneSpotAreOne) {
  LineChart chart = SmallChart();
  for (int i = 0; i < 1000; ++i) chart.series[0].points.push_back({5, 5 + 1e-6 * i});
  EXPECT_EQ(LineChartHtml(chart), LineChartHtml(SmallChart()));
}

BarChart SmallBars() {
  return {.title = "coefficients",
          .x_label = "step",
          .y_label = "a",
          .names = {"10", "20"},
          .values = {0.5, -0.5},
          .low = -1,
          .high = 1};
}

TEST(BarChartTest, BarsStandOnZero) {
  const std::string chart = BarChartHtml(SmallBars());
  EXPECT_THAT(chart, HasSubstr("x=\"74.60\" y=\"68.00\" width=\"148.80\" height=\"56.00\"><title>10: 0.5</title>"));
  EXPECT_THAT(chart, HasSubstr("y=\"124.00\" width=\"148.80\" height=\"56.00\"><title>20: -0.5</title>"));
  EXPECT_THAT(chart, HasSubstr(">10</text>"));
}

TEST(BarChartTest, ManyBarsHaveFewLabels) {
  BarChart chart = SmallBars();
  chart.names.assign(1000, "s");
  chart.values.assign(1000, 0.1);
  const std::string html = BarChartHtml(chart);
  EXPECT_EQ(Count(html, "<rect "), 1000u);
  EXPECT_EQ(Count(html, ">s</text>"), 6u);
  EXPECT_THAT(html, Not(HasSubstr("nan")));
}

TEST(BarChartTest, SaysWhenThereAreNone) {
  BarChart chart = SmallBars();
  chart.names.clear();
  chart.values.clear();
  EXPECT_THAT(BarChartHtml(chart), HasSubstr("Nothing to draw yet."));
}

}  // namespace
}  // namespace lcsc
