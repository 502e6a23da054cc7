#include "app/contours.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

// A corner of a cell, or a point of an edge, with its value.
struct Sample {
  PlanePoint point;
  double value;
};

// The corners of a cell, in a circle.
std::array<Sample, 4> CornersOf(const ScoreField& field, const PlaneGrid::Place& place) {
  const auto sample = [&](std::int64_t row, std::int64_t column) {
    return Sample{{static_cast<double>(column), static_cast<double>(row)}, field.At({row, column})};
  };
  const auto [row, column] = place;
  return {sample(row, column), sample(row, column + 1), sample(row + 1, column + 1), sample(row + 1, column)};
}

// The same bits from either side of the edge, so that lines meet.
PlanePoint Crossing(Sample a, Sample b, double level) {
  if (b.value < a.value) std::swap(a, b);
  const double share = (level - a.value) / (b.value - a.value);
  return {a.point.x + share * (b.point.x - a.point.x), a.point.y + share * (b.point.y - a.point.y)};
}

void AddCell(const std::array<Sample, 4>& corners, double level, std::vector<Segment>& segments) {
  double sum = 0;
  for (const Sample& corner : corners) sum += corner.value;
  if (!std::isfinite(sum)) return;
  std::vector<PlanePoint> crossings;
  for (std::size_t i = 0; i < 4; ++i) {
    const Sample &a = corners[i], &b = corners[(i + 1) % 4];
    if ((a.value < level) != (b.value < level)) crossings.push_back(Crossing(a, b, level));
  }
  if (crossings.size() == 2) segments.push_back({crossings[0], crossings[1]});
  if (crossings.size() != 4) return;
  // A saddle: crossing i lies between corners i and i + 1. The corner that differs from the middle is cut off.
  const bool middle_is_low = sum / 4 < level, first_is_low = corners[0].value < level;
  const std::size_t shift = middle_is_low == first_is_low ? 0 : 3;
  for (const std::size_t i : {std::size_t{0}, std::size_t{2}}) {
    segments.push_back({crossings[(i + shift) % 4], crossings[(i + shift + 1) % 4]});
  }
}

// The multiples of `step` strictly between.
std::vector<double> Multiples(const FieldRange& range, double step) {
  std::vector<double> levels;
  for (double i = std::floor(range.least / step) + 1; i * step < range.greatest; ++i) levels.push_back(i * step);
  return levels;
}

std::vector<double> DecimalLevels(const FieldRange& range, const std::vector<double>& mantissas) {
  std::vector<double> levels;
  for (double power = std::pow(10, std::floor(std::log10(range.least))); power < range.greatest; power *= 10) {
    for (const double mantissa : mantissas) {
      const double level = mantissa * power;
      if (level > range.least && level < range.greatest) levels.push_back(level);
    }
  }
  return levels;
}

}  // namespace

double Interpolate(const ScoreField& field, PlanePoint point) {
  const auto last = static_cast<double>(field.size - 2);
  const double left = std::clamp(std::floor(point.x), 0.0, last), low = std::clamp(std::floor(point.y), 0.0, last);
  const auto corners = CornersOf(field, {static_cast<std::int64_t>(low), static_cast<std::int64_t>(left)});
  const double right_share = point.x - left, up_share = point.y - low;
  return (1 - up_share) * ((1 - right_share) * corners[0].value + right_share * corners[1].value) +
         up_share * ((1 - right_share) * corners[3].value + right_share * corners[2].value);
}

std::vector<Segment> ContourOf(const ScoreField& field, double level) {
  std::vector<Segment> segments;
  for (std::int64_t row = 0; row + 1 < field.size; ++row) {
    for (std::int64_t column = 0; column + 1 < field.size; ++column) {
      AddCell(CornersOf(field, {row, column}), level, segments);
    }
  }
  return segments;
}

FieldRange RangeOf(const ScoreField& field) {
  FieldRange range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for (const double value : field.values) {
    if (!std::isfinite(value)) continue;
    range = {std::min(range.least, value), std::max(range.greatest, value)};
  }
  LCSC_CHECK(range.least <= range.greatest);
  return range;
}

bool IsLogarithmic(const ScoreField& field) {
  const FieldRange range = RangeOf(field);
  return range.least > 0 && range.greatest > 4 * range.least;
}

std::vector<double> ContourLevels(const ScoreField& field) {
  constexpr std::size_t kMostLevels = 14;
  const FieldRange range = RangeOf(field);
  if (!(range.greatest > range.least)) return {};
  if (IsLogarithmic(field)) {
    for (const std::vector<double>& mantissas :
         {std::vector<double>{1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8}, std::vector<double>{1, 1.5, 2, 3, 4, 5, 7},
          std::vector<double>{1, 2, 3, 5}, std::vector<double>{1, 3}}) {
      std::vector<double> levels = DecimalLevels(range, mantissas);
      if (levels.size() <= kMostLevels) return levels;
    }
    return DecimalLevels(range, {1});
  }
  const double power = std::pow(10, std::floor(std::log10(range.greatest - range.least)) - 1);
  for (const double mantissa : {1, 2, 5, 10}) {
    std::vector<double> levels = Multiples(range, mantissa * power);
    if (levels.size() <= kMostLevels) return levels;
  }
  return Multiples(range, 10 * power);
}

}  // namespace lcsc
