#include "app/landscape_picture.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "lcsc/io/canvas.h"

namespace lcsc {
namespace {

constexpr Colour kBlack{20, 20, 20}, kWhite{255, 255, 255}, kGrey{190, 190, 190};
constexpr int kLeft = 90, kTop = 90, kSide = 620;  // of the plane
constexpr int kScaleLeft = 750, kScaleWidth = 24;  // of the colours' legend
constexpr std::array<Colour, 9> kColours = {       // dark to bright, in equal steps of lightness
    Colour{68, 1, 84},    Colour{71, 44, 122}, Colour{59, 81, 139},  Colour{44, 113, 142}, Colour{33, 144, 141},
    Colour{39, 173, 129}, Colour{92, 200, 99}, Colour{170, 220, 50}, Colour{253, 231, 37}};

// share in [0, 1]. So few shades that the file stays small, so many that none is seen.
Colour ColourAt(double share) {
  constexpr double kShades = 100;
  const double place = std::round(std::clamp(share, 0.0, 1.0) * kShades) / kShades * (kColours.size() - 1);
  const auto index = std::min(static_cast<std::size_t>(place), kColours.size() - 2);
  const Colour a = kColours[index], b = kColours[index + 1];
  const double part = place - static_cast<double>(index);
  const auto mix = [&](std::uint8_t from, std::uint8_t to) {
    return static_cast<std::uint8_t>(std::lround(from + part * (to - from)));
  };
  return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

class Picture {
 public:
  Picture(const Landscape& landscape, const LandscapeWords& words)
      : landscape_(landscape),
        words_(words),
        field_(FieldOf(landscape)),
        range_(RangeOf(field_)),
        logarithmic_(IsLogarithmic(field_)),
        levels_(ContourLevels(field_)) {}

  at::Tensor Draw(const std::vector<LandscapeMark>& marks) {
    DrawColours();
    DrawContours();
    DrawAxes();
    DrawScale();
    DrawTitle();
    for (std::size_t i = 0; i < 3; ++i) DrawCheckpoint(i);
    for (const LandscapeMark& mark : marks) DrawMark(mark);
    DrawMinimum();
    return canvas_.ToImage();
  }

 private:
  // Of a score, in [0, 1].
  double ShareOf(double score) const {
    if (!(range_.greatest > range_.least)) return 0;
    if (!logarithmic_) return (score - range_.least) / (range_.greatest - range_.least);
    return std::log(score / range_.least) / std::log(range_.greatest / range_.least);
  }

  // Of a place on the grid, in columns and rows.
  static CanvasPoint PixelOfGrid(PlanePoint place, std::int64_t size) {
    const double pitch = kSide / static_cast<double>(size - 1);
    return {kLeft + place.x * pitch, kTop + kSide - place.y * pitch};
  }
  CanvasPoint PixelOf(PlanePoint point) const {
    const PlaneGrid& grid = landscape_.grid();
    return PixelOfGrid({(point.x - grid.low.x) / grid.spacing(), (point.y - grid.low.y) / grid.spacing()}, grid.size);
  }
  bool IsInside(PlanePoint point) const {
    const PlaneGrid& grid = landscape_.grid();
    const double x = point.x - grid.low.x, y = point.y - grid.low.y;
    return x >= 0 && x <= grid.side && y >= 0 && y <= grid.side;
  }

  void DrawColours() {
    at::Tensor image = at::empty({3, kSide, kSide}, at::kByte);
    auto pixels = image.accessor<std::uint8_t, 3>();
    const double per_pixel = static_cast<double>(field_.size - 1) / kSide;
    for (int row = 0; row < kSide; ++row) {
      for (int column = 0; column < kSide; ++column) {
        const double score = Interpolate(field_, {(column + 0.5) * per_pixel, (kSide - row - 0.5) * per_pixel});
        const Colour colour = std::isfinite(score) ? ColourAt(ShareOf(score)) : kGrey;
        pixels[0][row][column] = colour.red;
        pixels[1][row][column] = colour.green;
        pixels[2][row][column] = colour.blue;
      }
    }
    canvas_.Paste(image, {kLeft, kTop});
  }

  void DrawContours() {
    for (const double level : levels_) {
      const Colour colour = ShareOf(level) < 0.6 ? kWhite : kBlack;
      for (const Segment& segment : ContourOf(field_, level)) {
        canvas_.Line({PixelOfGrid(segment.from, field_.size), PixelOfGrid(segment.to, field_.size)},
                     {.colour = colour, .width = 1.1});
      }
    }
  }

  void DrawFrame(double left, double top, double width, double height) {
    canvas_.Line({{left, top}, {left + width, top}, {left + width, top + height}, {left, top + height}},
                 {.colour = kBlack, .width = 1, .closed = true});
  }

  void DrawAxes() {
    DrawFrame(kLeft, kTop, kSide, kSide);
    const PlaneGrid& grid = landscape_.grid();
    const double step = TickStep(grid.side);
    for (double x = std::ceil(grid.low.x / step) * step; x <= grid.low.x + grid.side; x += step) {
      const double pixel = PixelOf({x, grid.low.y}).x;
      canvas_.Line({{pixel, kTop + kSide}, {pixel, kTop + kSide + 6}}, {});
      canvas_.Text(NumberText(x, step), {pixel, kTop + kSide + 22}, {.height = 11, .align = Canvas::Align::kMiddle});
    }
    for (double y = std::ceil(grid.low.y / step) * step; y <= grid.low.y + grid.side; y += step) {
      const double pixel = PixelOf({grid.low.x, y}).y;
      canvas_.Line({{kLeft - 6, pixel}, {kLeft, pixel}}, {});
      canvas_.Text(NumberText(y, step), {kLeft - 10, pixel + 5}, {.height = 11, .align = Canvas::Align::kRight});
    }
    const double middle = kLeft + kSide / 2.0;
    const auto& [p, q, r] = landscape_.steps();
    canvas_.Text(fmt::format("x: from step {} to step {};  y: at right angles, towards step {}", p, q, r),
                 {middle, kTop + kSide + 48}, {.height = 11, .align = Canvas::Align::kMiddle});
    canvas_.Text("(distances between weights)", {middle, kTop + kSide + 70},
                 {.height = 11, .align = Canvas::Align::kMiddle});
  }

  void DrawScale() {
    for (int i = 0; i < kSide; ++i) {
      const double y = kTop + kSide - i;
      canvas_.Fill(
          {{kScaleLeft, y}, {kScaleLeft + kScaleWidth, y}, {kScaleLeft + kScaleWidth, y - 1}, {kScaleLeft, y - 1}},
          ColourAt((i + 0.5) / kSide));
    }
    DrawFrame(kScaleLeft, kTop, kScaleWidth, kSide);
    for (const double level : levels_) {
      const double y = kTop + kSide - kSide * ShareOf(level), right = kScaleLeft + kScaleWidth;
      canvas_.Line({{kScaleLeft, y}, {right + 5, y}}, {.colour = kBlack, .width = 1});
      canvas_.Text(fmt::format("{:.4g}", level), {right + 10, y + 5}, {.height = 11});
    }
    canvas_.Text(words_.score, {kScaleLeft, kTop - 12}, {.height = 12});
  }

  void DrawTitle() {
    canvas_.Text(fmt::format("{} over the plane of three checkpoints", words_.score), {kLeft, 36},
                 {.height = 17, .width = 1.6});
    canvas_.Text(
        fmt::format("{}; lowest of {} x {} points: {:.4g}", words_.detail, field_.size, field_.size, range_.least),
        {kLeft, 62}, {.height = 12});
  }

  // Dark words with a bright rim, to the right of a point or, at the right edge, to its left.
  void Label(const std::string& text, CanvasPoint at) {
    constexpr double kHeight = 12, kGap = 11;
    const bool to_the_left = at.x + kGap + Canvas::WidthOf(text, kHeight) > kLeft + kSide;
    const Canvas::Align align = to_the_left ? Canvas::Align::kRight : Canvas::Align::kLeft;
    const CanvasPoint start{at.x + (to_the_left ? -kGap : kGap), at.y + 5};
    canvas_.Text(text, start, {.colour = kWhite, .height = kHeight, .width = 4.5, .align = align});
    canvas_.Text(text, start, {.colour = kBlack, .height = kHeight, .width = 1.4, .align = align});
  }

  void DrawShape(const std::vector<CanvasPoint>& outline, Colour inside) {
    canvas_.Fill(outline, inside);
    canvas_.Line(outline, {.colour = kBlack, .width = 1.6, .closed = true});
  }

  // Corners on circles of the two radii in turn, the first upwards.
  static std::vector<CanvasPoint> Around(CanvasPoint middle, int corners, std::array<double, 2> radii) {
    std::vector<CanvasPoint> outline;
    for (int i = 0; i < corners; ++i) {
      const double angle = 2 * std::numbers::pi * i / corners, radius = radii[static_cast<std::size_t>(i % 2)];
      outline.push_back({middle.x + radius * std::sin(angle), middle.y - radius * std::cos(angle)});
    }
    return outline;
  }

  void DrawCheckpoint(std::size_t i) {
    const CanvasPoint at = PixelOf(landscape_.plane().corners()[i]);
    DrawShape(Around(at, 32, {6, 6}), kWhite);
    Label(fmt::format("step {}", landscape_.steps()[i]), at);
  }

  void DrawMark(const LandscapeMark& mark) {
    if (!IsInside(mark.point)) return;
    const CanvasPoint at = PixelOf(mark.point);
    DrawShape(mark.is_star ? Around(at, 10, {10, 4}) : Around(at, 4, {8, 8}),
              mark.is_star ? Colour{255, 90, 60} : Colour{255, 190, 60});
    Label(mark.label, at);
  }

  // A small cross.
  void DrawMinimum() {
    const CanvasPoint at = PixelOf(landscape_.PointOf(*landscape_.Minimum()));
    for (const auto& [colour, width] : {std::pair(kBlack, 4.5), std::pair(kWhite, 2.0)}) {
      canvas_.Line({{at.x - 6, at.y}, {at.x + 6, at.y}}, {.colour = colour, .width = width});
      canvas_.Line({{at.x, at.y - 6}, {at.x, at.y + 6}}, {.colour = colour, .width = width});
    }
  }

  // 1, 2 or 5 times a power of ten: four to ten of them in the length.
  static double TickStep(double length) {
    const double power = std::pow(10, std::floor(std::log10(length)) - 1);
    for (const double step : {power, 2 * power, 5 * power}) {
      if (length / step <= 10) return step;
    }
    return 10 * power;
  }
  // Not -0, and no 0.30000000000000004.
  static std::string NumberText(double value, double step) {
    return fmt::format("{:.4g}", std::round(value / step) * step + 0.0);
  }

  const Landscape& landscape_;
  const LandscapeWords& words_;
  ScoreField field_;
  FieldRange range_;
  bool logarithmic_;
  std::vector<double> levels_;
  Canvas canvas_{{kLandscapeWidth, kLandscapeHeight}};
};

}  // namespace

ScoreField FieldOf(const Landscape& landscape) {
  ScoreField field{landscape.grid().size, {}};
  for (std::int64_t id = 0; id < landscape.grid().num_points(); ++id) {
    field.values.push_back(landscape.ScoreOf(id).value_or(std::numeric_limits<double>::quiet_NaN()));
  }
  return field;
}

at::Tensor DrawLandscape(const Landscape& landscape, const std::vector<LandscapeMark>& marks,
                         const LandscapeWords& words) {
  return Picture(landscape, words).Draw(marks);
}

}  // namespace lcsc
