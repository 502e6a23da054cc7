// The plane through three checkpoints (LCSC paper, Fig. 4), with axes in which distances are those between weights.
#pragma once

#include <array>

#include "lcsc/search/coefficients.h"

namespace lcsc {

struct PlanePoint {
  double x = 0, y = 0;
  bool operator==(const PlanePoint&) const = default;
};

// With d_2 = theta_q - theta_p, d_3 = theta_r - theta_p of the checkpoints p, q, r, the axes begin at theta_p:
//   u = d_2 / |d_2|,   v = w / |w| with w = d_3 - (<d_2, d_3> / |d_2|^2) d_2,
// so a point is theta_p + x u + y v. The paper's figure has d_2 and d_3 themselves as axes: the same plane, sheared.
class Plane {
 public:
  struct Checkpoints {
    std::array<std::size_t, 3> indices;  // p, q, r: all different
    std::size_t num_checkpoints;
  };
  struct Products {
    double second_second, second_third, third_third;  // <d_2, d_2>, <d_2, d_3>, <d_3, d_3>
  };
  // Throws InputError when the three lie on one line, as far as double precision can tell.
  Plane(const Checkpoints& checkpoints, const Products& products);

  // [K]: three that are not 0 anywhere but on the lines through two checkpoints; sum 1.
  Coefficients At(PlanePoint point) const;
  // Where the three checkpoints are: (0, 0), (|d_2|, 0), and the third at y = |w|.
  const std::array<PlanePoint, 3>& corners() const { return corners_; }

  const std::array<std::size_t, 3>& indices() const { return checkpoints_.indices; }

  // Of a difference d of weights to theta_p.
  struct Projections {
    double on_second, on_third;  // <d, d_2>, <d, d_3>
  };
  // The point of the plane that is nearest to theta_p + d.
  PlanePoint Foot(const Projections& projections) const;

 private:
  Checkpoints checkpoints_;
  double length_;  // |d_2|
  double shear_;   // <d_2, d_3> / |d_2|^2
  double height_;  // |w|
  std::array<PlanePoint, 3> corners_;
};

// A square of size x size points, rows from the lowest y upwards.
struct PlaneGrid {
  PlanePoint low;   // the point of row 0, column 0
  double side = 0;  // from the first to the last point of a row, and of a column
  std::int64_t size = 2;

  std::int64_t num_points() const { return size * size; }
  double spacing() const { return side / static_cast<double>(size - 1); }
  struct Place {
    std::int64_t row, column;
  };
  PlanePoint At(const Place& place) const {
    return {low.x + spacing() * static_cast<double>(place.column), low.y + spacing() * static_cast<double>(place.row)};
  }
};

struct PlaneGridOptions {
  std::int64_t size = 15;  // >= 2
  double margin = 0.5;     // around the three checkpoints, as a share of their larger extent in x or y; >= 0
};
// Around the middle of the corners' bounding box.
PlaneGrid GridAround(const std::array<PlanePoint, 3>& corners, const PlaneGridOptions& options);

}  // namespace lcsc
