#include "lcsc/search/plane.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

using Weights = std::vector<double>;

double Dot(const Weights& a, const Weights& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

Weights Minus(Weights a, const Weights& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
  return a;
}

// Five checkpoints of four weights each; the plane goes through 4, 1 and 2.
class PlaneTest : public ::testing::Test {
 protected:
  PlaneTest() : plane_({{4, 1, 2}, 5}, {Dot(d2_, d2_), Dot(d2_, d3_), Dot(d3_, d3_)}) {}

  static Weights Merge(const Coefficients& coefficients) {
    Weights merged(4);
    for (std::size_t i = 0; i < kCheckpoints.size(); ++i) {
      for (std::size_t j = 0; j < merged.size(); ++j) merged[j] += coefficients[i] * kCheckpoints[i][j];
    }
    return merged;
  }
  PlanePoint FootOf(const Weights& weights) const {
    const Weights d = Minus(weights, kCheckpoints[4]);
    return plane_.Foot({Dot(d, d2_), Dot(d, d3_)});
  }

  static inline const std::vector<Weights> kCheckpoints = {
      {9, 9, 9, 9}, {2, 0, -1, 3}, {1, 4, 1, -2}, {7, 7, 7, 7}, {0.5, 1, 1.5, -1}};
  Weights d2_ = Minus(kCheckpoints[1], kCheckpoints[4]), d3_ = Minus(kCheckpoints[2], kCheckpoints[4]);
  Plane plane_;
};

TEST_F(PlaneTest, CornersAreTheCheckpoints) {
  const std::array<std::size_t, 3> indices = {4, 1, 2};
  for (std::size_t corner = 0; corner < 3; ++corner) {
    const Coefficients a = plane_.At(plane_.corners()[corner]);
    for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(a[i], i == indices[corner] ? 1 : 0, 1e-14) << corner;
    const PlanePoint foot = FootOf(kCheckpoints[indices[corner]]);
    EXPECT_NEAR(foot.x, plane_.corners()[corner].x, 1e-13);
    EXPECT_NEAR(foot.y, plane_.corners()[corner].y, 1e-13);
  }
}

TEST_F(PlaneTest, DistancesAreThoseOfTheWeights) {
  const PlanePoint a{0.7, -1.3}, b{-2.1, 0.4};
  const Weights apart = Minus(Merge(plane_.At(a)), Merge(plane_.At(b)));
  EXPECT_NEAR(std::sqrt(Dot(apart, apart)), std::hypot(a.x - b.x, a.y - b.y), 1e-12);
  const Coefficients coefficients = plane_.At(a);
  EXPECT_NEAR(std::accumulate(coefficients.begin(), coefficients.end(), 0.0), 1, 1e-14);
}

// The score |theta - target|^2 of a target off the plane is least at its foot, and there the squared distance to the
// plane.
TEST_F(PlaneTest, AQuadraticIsLeastAtTheFootOfItsCentre) {
  const Weights target = {1.5, 2.5, -0.5, 0.25};
  const PlanePoint foot = FootOf(target);
  const PlaneGrid grid{{foot.x - 2, foot.y - 1}, 4, 9};  // with the foot at row 2, column 4
  double least = std::numeric_limits<double>::infinity();
  PlaneGrid::Place place{-1, -1};
  for (std::int64_t row = 0; row < grid.size; ++row) {
    for (std::int64_t column = 0; column < grid.size; ++column) {
      const PlanePoint point = grid.At({row, column});
      const Weights apart = Minus(Merge(plane_.At(point)), target);
      const double in_plane = std::pow(point.x - foot.x, 2) + std::pow(point.y - foot.y, 2);
      const Weights from_foot = Minus(Merge(plane_.At(foot)), target);
      EXPECT_NEAR(Dot(apart, apart), in_plane + Dot(from_foot, from_foot), 1e-12);
      if (Dot(apart, apart) < least) place = {row, column}, least = Dot(apart, apart);
    }
  }
  EXPECT_EQ(place.row, 2);
  EXPECT_EQ(place.column, 4);
}

TEST_F(PlaneTest, CheckpointsOnALineAreRefused) {
  EXPECT_THROW(Plane({{0, 1, 2}, 3}, {4, 2, 1}), InputError);
  EXPECT_THROW(Plane({{0, 1, 2}, 3}, {0, 0, 1}), InputError);
}

TEST(PlaneGridTest, ASquareAroundTheCheckpoints) {
  const PlaneGrid grid =
      GridAround({PlanePoint{0, 0}, PlanePoint{4, 0}, PlanePoint{-2, 3}}, {.size = 5, .margin = 0.5});
  EXPECT_EQ(grid.side, 12);
  EXPECT_EQ(grid.At({0, 0}), (PlanePoint{-5, -4.5}));
  EXPECT_EQ(grid.At({4, 4}), (PlanePoint{7, 7.5}));
  EXPECT_EQ(grid.At({1, 2}), (PlanePoint{1, -1.5}));
}

}  // namespace
}  // namespace lcsc
