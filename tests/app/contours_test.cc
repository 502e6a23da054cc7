#include "app/contours.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "app/landscape_picture.h"
#include "app/landscape_table.h"
#include "lcsc/base/error.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

TEST(ContoursTest, ALevelOfAQuadraticIsACircle) {
  // (x - 20.3)^2 + (y - 18.1)^2, whose level 100 is a circle of radius 10.
  ScoreField field{41, {}};
  for (int row = 0; row < 41; ++row) {
    for (int column = 0; column < 41; ++column) {
      field.values.push_back(std::pow(column - 20.3, 2) + std::pow(row - 18.1, 2));
    }
  }
  const std::vector<Segment> segments = ContourOf(field, 100);
  double length = 0;
  for (const Segment& segment : segments) {
    for (const PlanePoint& end : {segment.from, segment.to}) {
      EXPECT_NEAR(std::hypot(end.x - 20.3, end.y - 18.1), 10, 0.02);
    }
    length += std::hypot(segment.to.x - segment.from.x, segment.to.y - segment.from.y);
  }
  EXPECT_NEAR(length, 2 * std::numbers::pi * 10, 0.2) << "the circle is closed, and drawn once";
  EXPECT_TRUE(ContourOf(field, -1).empty());
}

TEST(ContoursTest, LinesMeetFromCellToCell) {
  const ScoreField field{3, {0, 1, 0, 1, 4, 1, 0, 1, 0}};
  const std::vector<Segment> segments = ContourOf(field, 2);
  ASSERT_EQ(segments.size(), 4u);
  for (const Segment& segment : segments) {
    int shared = 0;
    for (const Segment& other : segments) {
      for (const PlanePoint& end : {other.from, other.to}) shared += end == segment.from || end == segment.to;
    }
    EXPECT_EQ(shared, 4) << "its own two ends, and one of each neighbour";
  }
}

// The mean says whether the two low corners are one valley.
TEST(ContoursTest, ASaddleFollowsItsMiddle) {
  for (const double high : {1.5, 4.0}) {
    const std::vector<Segment> segments = ContourOf({2, {0, high, high, 0}}, 1);
    ASSERT_EQ(segments.size(), 2u);
    for (const Segment& segment : segments) {
      const double x = (segment.from.x + segment.to.x) / 2, y = (segment.from.y + segment.to.y) / 2;
      const bool cuts_off_a_low_corner = (x < 0.5) == (y < 0.5);
      EXPECT_EQ(cuts_off_a_low_corner, high == 4.0) << x << " " << y;
    }
  }
}

TEST(ContoursTest, NothingIsDrawnWhereAScoreIsMissing) {
  const ScoreField field{3, {0, 2, 0, 0, 2, 0, 0, 2, kNone}};
  for (const Segment& segment : ContourOf(field, 1)) {
    EXPECT_FALSE((segment.from.x > 1 || segment.to.x > 1) && (segment.from.y > 1 || segment.to.y > 1));
  }
  EXPECT_TRUE(std::isnan(Interpolate(field, {1.5, 1.5})));
  EXPECT_DOUBLE_EQ(Interpolate(field, {0.25, 1.75}), 0.5);
  EXPECT_DOUBLE_EQ(Interpolate({2, {1, 3, 5, 11}}, {1, 1}), 11);
}

TEST(ContoursTest, LevelsAreRound) {
  EXPECT_THAT(ContourLevels({2, {7.5, 9, 45, 390}}), ElementsAre(10, 15, 20, 30, 40, 50, 70, 100, 150, 200, 300));
  const std::vector<double> even = ContourLevels({2, {-3, 0, 1, 9}});
  EXPECT_THAT(even, ElementsAre(-2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_TRUE(ContourLevels({2, {5, 5, kNone, 5}}).empty());
}

Landscape SmallLandscape() {
  const Plane plane({{0, 1, 2}, 3}, {4, 2, 5});
  return Landscape(plane, GridAround(plane.corners(), {.size = 3, .margin = 0.25}), {10, 20, 30});
}

Outcome Scored(double score) {
  Outcome outcome;
  outcome.score = score;
  return outcome;
}

TEST(LandscapeTableTest, WhatIsDoneIsReadAgain) {
  const TempFolder folder;
  Landscape landscape = SmallLandscape();
  landscape.Tell(0, Scored(0.1 + 0.2));
  landscape.Tell(5, {.score = {}, .failure = "the images, all of them,\nare not finite", .seconds = {}});
  landscape.Tell(7, Scored(-2));
  landscape.Tell(11, Scored(-3));
  WriteBytes(folder / "landscape.csv", landscape.ToCsv());
  Landscape again = SmallLandscape();
  again.ReadCsv(folder / "landscape.csv");
  EXPECT_EQ(again.num_done(), 4);
  EXPECT_EQ(again.ScoreOf(0), 0.1 + 0.2);
  EXPECT_EQ(again.outcome(5)->failure, "the images, all of them, are not finite");
  EXPECT_EQ(again.Minimum(), 7) << "11 is a checkpoint";
  EXPECT_EQ(again.ToCsv(), landscape.ToCsv());
  EXPECT_THAT(again.ToCsv(), HasSubstr("id,point,row,column,x,y,a_10,a_20,a_30,score,failure\n0,grid,0,0,"));
  EXPECT_THAT(again.ToCsv(), HasSubstr("\n11,checkpoint,,,1,2,0,0,1,-3,\n"));
}

TEST(LandscapeTableTest, DamageIsRefusedWithItsLine) {
  const TempFolder folder;
  Landscape landscape = SmallLandscape();
  landscape.Tell(0, Scored(1));
  landscape.Tell(1, Scored(2));
  const std::string csv = landscape.ToCsv();
  const auto message_of = [&](const std::string& content) {
    WriteBytes(folder / "landscape.csv", content);
    return MessageOf<InputError>([&] { SmallLandscape().ReadCsv(folder / "landscape.csv"); });
  };
  EXPECT_EQ(message_of(csv), "");
  EXPECT_THAT(message_of(csv.substr(0, csv.size() - 4)), HasSubstr("landscape.csv: line 3"));
  EXPECT_THAT(message_of(csv + "12,grid,0,0,0,0,0,0,0,1,\n"), HasSubstr("line 4"));
  EXPECT_THAT(message_of(csv + "2,grid,0,0,0,0,0,0,0,nan,\n"), HasSubstr("line 4"));
  EXPECT_THAT(message_of("id,score\n0,1\n"), HasSubstr("first line"));
}

// A bowl around the first checkpoint: dark there, and bright far away; a point without a score is grey.
TEST(LandscapePictureTest, ColoursFollowTheScores) {
  Landscape landscape = SmallLandscape();
  for (std::int64_t id = 0; id < landscape.num_points(); ++id) {
    const auto [x, y] = landscape.PointOf(id);
    landscape.Tell(id, Scored(x * x + y * y));
  }
  landscape.Tell(8, {.score = {}, .failure = "none", .seconds = {}});
  const at::Tensor image = DrawLandscape(landscape, {{"LCSC", {1, 1}, true}}, {"FID", "noise seed 1"});
  EXPECT_EQ(image.sizes().vec(), (std::vector<std::int64_t>{3, kLandscapeHeight, kLandscapeWidth}));
  const auto brightness = [&](int x, int y) {
    return image.slice(1, y, y + 1).slice(2, x, x + 1).to(at::kInt).sum().item<int>();
  };
  EXPECT_LT(brightness(97, 700), brightness(97, 97)) << "the lower left is nearer to the first checkpoint";
  EXPECT_EQ(brightness(700, 100), 3 * 190);
  EXPECT_EQ(brightness(5, 5), 3 * 255);
}

}  // namespace
}  // namespace lcsc
