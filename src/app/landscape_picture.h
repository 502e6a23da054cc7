// landscape.png: scores over a plane as colours and contour lines.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "app/contours.h"
#include "app/landscape_table.h"

namespace lcsc {

// Something else to be shown in the plane.
struct LandscapeMark {
  std::string label;
  PlanePoint point;
  bool is_star = false;  // else a diamond
};

struct LandscapeWords {
  std::string score;   // "FID"
  std::string detail;  // "noise seed 1, 2000 samples"
};

constexpr int kLandscapeWidth = 900, kLandscapeHeight = 800;

// uint8 [3, kLandscapeHeight, kLandscapeWidth]. Points without a score, and what lies next to them, are grey.
// REQUIRES: a point of the grid has a score.
at::Tensor DrawLandscape(const Landscape& landscape, const std::vector<LandscapeMark>& marks,
                         const LandscapeWords& words);

// The grid's scores; NaN where there is none.
ScoreField FieldOf(const Landscape& landscape);

}  // namespace lcsc
