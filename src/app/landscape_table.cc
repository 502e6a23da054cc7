#include "app/landscape_table.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

// The first fields of a line, and what is left of it behind their commas as the last.
std::vector<std::string> SplitLine(const std::string& line, std::size_t count) {
  std::vector<std::string> fields;
  std::size_t begin = 0;
  while (fields.size() + 1 < count) {
    const std::size_t comma = line.find(',', begin);
    if (comma == std::string::npos) break;
    fields.push_back(line.substr(begin, comma - begin));
    begin = comma + 1;
  }
  fields.push_back(line.substr(begin));
  return fields;
}

template <typename T>
std::optional<T> NumberOf(const std::string& text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Landscape::Landscape(Plane plane, const PlaneGrid& grid, const std::array<std::int64_t, 3>& steps)
    : plane_(std::move(plane)), grid_(grid), steps_(steps), outcomes_(static_cast<std::size_t>(num_points())) {}

std::int64_t Landscape::num_done() const {
  return std::ranges::count_if(outcomes_, [](const auto& outcome) { return outcome.has_value(); });
}

PlanePoint Landscape::PointOf(std::int64_t id) const {
  LCSC_CHECK(0 <= id && id < num_points());
  if (id >= grid_.num_points()) return plane_.corners()[static_cast<std::size_t>(id - grid_.num_points())];
  return grid_.At({id / grid_.size, id % grid_.size});
}

std::optional<double> Landscape::ScoreOf(std::int64_t id) const {
  return outcome(id) ? outcome(id)->score : std::nullopt;
}

std::optional<std::int64_t> Landscape::Minimum() const {
  std::optional<std::int64_t> best;
  for (std::int64_t id = 0; id < grid_.num_points(); ++id) {
    if (ScoreOf(id) && (!best || *ScoreOf(id) < *ScoreOf(*best))) best = id;
  }
  return best;
}

std::string Landscape::Header() const {
  return fmt::format("id,point,row,column,x,y,a_{},a_{},a_{},score,failure\n", steps_[0], steps_[1], steps_[2]);
}

std::string Landscape::LineOf(std::int64_t id) const {
  const bool is_grid = id < grid_.num_points();
  const auto [x, y] = PointOf(id);
  const Coefficients all = plane_.At({x, y});
  const auto& [p, q, r] = plane_.indices();
  std::string failure = outcome(id)->failure;
  std::ranges::replace(failure, '\n', ' ');
  return fmt::format("{},{},{},{},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{},{}\n", id, is_grid ? "grid" : "checkpoint",
                     is_grid ? fmt::format("{}", id / grid_.size) : "",
                     is_grid ? fmt::format("{}", id % grid_.size) : "", x, y, all[p], all[q], all[r],
                     ScoreOf(id) ? fmt::format("{}", *ScoreOf(id)) : "", failure);
}

std::string Landscape::ToCsv() const {
  std::string csv = Header();
  for (std::int64_t id = 0; id < num_points(); ++id) {
    if (outcome(id)) csv += LineOf(id);
  }
  return csv;
}

bool Landscape::ReadLine(const std::string& line) {
  const std::vector<std::string> fields = SplitLine(line, 11);
  const auto id = fields.size() == 11 ? NumberOf<std::int64_t>(fields[0]) : std::nullopt;
  if (!id || *id < 0 || *id >= num_points()) return false;
  Outcome outcome;
  outcome.failure = fields[10];
  outcome.score = NumberOf<double>(fields[9]);
  if (outcome.score && !std::isfinite(*outcome.score)) return false;
  if (outcome.score.has_value() != outcome.failure.empty() || (!outcome.score && !fields[9].empty())) return false;
  Tell(*id, outcome);
  return true;
}

void Landscape::ReadCsv(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw InputError("{}: cannot read it; check its permissions", path.string());
  std::string line;
  std::getline(file, line);
  if (line + "\n" != Header()) {
    throw InputError("{}: expected the first line {}, found {}; move the file away", path.string(),
                     Header().substr(0, Header().size() - 1), line);
  }
  for (int number = 2; std::getline(file, line); ++number) {
    if (ReadLine(line)) continue;
    throw InputError(
        "{}: line {}: expected a point of the {} x {} grid with a score or a failure, found {}; move the "
        "file away",
        path.string(), number, grid_.size, grid_.size, line);
  }
}

}  // namespace lcsc
