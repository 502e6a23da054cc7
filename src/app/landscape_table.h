// landscape.csv: the points of a landscape that have been evaluated.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "lcsc/search/candidate.h"
#include "lcsc/search/plane.h"

namespace lcsc {

// What is evaluated: the grid, row after row, and then the three checkpoints. A point's position is its id.
class Landscape {
 public:
  // steps: of the plane's checkpoints.
  Landscape(Plane plane, const PlaneGrid& grid, const std::array<std::int64_t, 3>& steps);

  const Plane& plane() const { return plane_; }
  const PlaneGrid& grid() const { return grid_; }
  const std::array<std::int64_t, 3>& steps() const { return steps_; }
  std::int64_t num_points() const { return grid_.num_points() + 3; }
  std::int64_t num_done() const;
  PlanePoint PointOf(std::int64_t id) const;
  Candidate CandidateOf(std::int64_t id) const { return {.id = id, .coefficients = plane_.At(PointOf(id))}; }

  const std::optional<Outcome>& outcome(std::int64_t id) const { return outcomes_[static_cast<std::size_t>(id)]; }
  std::optional<double> ScoreOf(std::int64_t id) const;
  void Tell(std::int64_t id, const Outcome& outcome) { outcomes_[static_cast<std::size_t>(id)] = outcome; }
  // The grid's point with the lowest score; nullopt: none has one.
  std::optional<std::int64_t> Minimum() const;

  // id,point,row,column,x,y,a_STEP,a_STEP,a_STEP,score,failure; a line for each point that is done.
  std::string ToCsv() const;
  // What ToCsv wrote, for the same steps and grid. Throws InputError that names the file and the line.
  void ReadCsv(const std::filesystem::path& path);

 private:
  std::string Header() const;
  std::string LineOf(std::int64_t id) const;
  // Whether it was one of this landscape's.
  bool ReadLine(const std::string& line);

  Plane plane_;
  PlaneGrid grid_;
  std::array<std::int64_t, 3> steps_;
  std::vector<std::optional<Outcome>> outcomes_;
};

}  // namespace lcsc
