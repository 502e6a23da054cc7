// Lines of equal height on a grid.
#pragma once

#include <cstdint>
#include <vector>

#include "lcsc/search/plane.h"

namespace lcsc {

// Values on a square of size x size points, rows one after another; NaN where there is none.
struct ScoreField {
  std::int64_t size = 0;
  std::vector<double> values;

  double At(const PlaneGrid::Place& place) const {
    return values[static_cast<std::size_t>(place.row * size + place.column)];
  }
};

// Between four neighbours: bilinear. NaN next to a NaN. x, y: in columns and rows, in [0, size - 1].
double Interpolate(const ScoreField& field, PlanePoint point);

struct Segment {
  PlanePoint from, to;  // in columns and rows
};
// Marching squares: where the field, linear along the edges between neighbours, is `level`. Where all four edges of a
// cell are crossed, the mean of the corners says which two belong together. Nothing in cells with a NaN.
std::vector<Segment> ContourOf(const ScoreField& field, double level);

// About a dozen round values between the field's least and its greatest: 1, 2, 3, 5 times powers of ten and the like
// when it spans more than a factor of 4 and is positive, else evenly spaced ones. Empty when no two values differ.
std::vector<double> ContourLevels(const ScoreField& field);

// Whether colours and levels follow the logarithm: the rule above.
bool IsLogarithmic(const ScoreField& field);

// Of the values that are there. REQUIRES: at least one.
struct FieldRange {
  double least, greatest;
};
FieldRange RangeOf(const ScoreField& field);

}  // namespace lcsc
