// Pictures with lines and words, for plots.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lcsc {

struct Colour {
  std::uint8_t red = 0, green = 0, blue = 0;
};

// In pixels from the upper left corner, to the right and downwards; (0.5, 0.5) is the first pixel's middle.
struct CanvasPoint {
  double x = 0, y = 0;
};

// White at first. What is drawn lies over what was drawn before, with smooth edges (Anti-Grain Geometry).
class Canvas {
 public:
  struct Size {
    int width, height;
  };
  explicit Canvas(const Size& size);

  struct Stroke {
    Colour colour = {};
    double width = 1;
    bool closed = false;
  };
  void Line(const std::vector<CanvasPoint>& points, const Stroke& stroke);
  void Fill(const std::vector<CanvasPoint>& polygon, Colour colour);

  enum class Align { kLeft, kMiddle, kRight };
  struct Words {
    Colour colour = {};
    double height = 13;  // of a capital letter, about
    double width = 1.3;  // of the strokes
    Align align = Align::kLeft;
  };
  // ASCII in the library's own stroke font; `at` is on the base line.
  void Text(const std::string& text, CanvasPoint at, const Words& words);
  static double WidthOf(const std::string& text, double height);

  // image: uint8 [3, h, w], inside the canvas. corner: its upper left pixel.
  struct Corner {
    int x, y;
  };
  void Paste(const at::Tensor& image, const Corner& corner);

  // uint8 [3, h, w], for WritePng.
  at::Tensor ToImage() const;

 private:
  at::Tensor pixels_;  // uint8 [h, w, 3]
};

}  // namespace lcsc
