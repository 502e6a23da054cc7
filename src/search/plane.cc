#include "lcsc/search/plane.h"

#include <algorithm>
#include <cmath>

#include "lcsc/base/error.h"

namespace lcsc {

Plane::Plane(const Checkpoints& checkpoints, const Products& products) : checkpoints_(checkpoints) {
  const auto& [p, q, r] = checkpoints_.indices;
  LCSC_CHECK(p != q && q != r && r != p && std::max({p, q, r}) < checkpoints_.num_checkpoints);
  shear_ = products.second_third / products.second_second;
  const double height_squared = products.third_third - shear_ * products.second_third;
  constexpr double kLeastShare = 1e-12;  // of |d_3|^2: below it what is left is rounding
  if (!(products.second_second > 0) || !(height_squared > kLeastShare * products.third_third)) {
    throw InputError(
        "the three checkpoints: expected weights that span a plane, found weights on one line (squared lengths {}, {}, "
        "product {}); choose others",
        products.second_second, products.third_third, products.second_third);
  }
  length_ = std::sqrt(products.second_second);
  height_ = std::sqrt(height_squared);
  corners_ = {PlanePoint{0, 0}, PlanePoint{length_, 0}, PlanePoint{shear_ * length_, height_}};
}

Coefficients Plane::At(PlanePoint point) const {
  const double third = point.y / height_;
  const double second = point.x / length_ - shear_ * third;
  const auto& [p, q, r] = checkpoints_.indices;
  Coefficients coefficients(checkpoints_.num_checkpoints);
  coefficients[p] = 1 - second - third;
  coefficients[q] = second;
  coefficients[r] = third;
  return coefficients;
}

PlanePoint Plane::Foot(const Projections& projections) const {
  return {projections.on_second / length_, (projections.on_third - shear_ * projections.on_second) / height_};
}

PlaneGrid GridAround(const std::array<PlanePoint, 3>& corners, const PlaneGridOptions& options) {
  LCSC_CHECK(options.size >= 2 && options.margin >= 0);
  const auto [left, right] = std::ranges::minmax({corners[0].x, corners[1].x, corners[2].x});
  const auto [bottom, top] = std::ranges::minmax({corners[0].y, corners[1].y, corners[2].y});
  const double side = (1 + 2 * options.margin) * std::max(right - left, top - bottom);
  return {{(left + right - side) / 2, (bottom + top - side) / 2}, side, options.size};
}

}  // namespace lcsc
