#include "lcsc/io/canvas.h"

#include <agg_conv_stroke.h>
#include <agg_gsv_text.h>
#include <agg_path_storage.h>
#include <agg_pixfmt_rgb.h>
#include <agg_rasterizer_scanline_aa.h>
#include <agg_renderer_scanline.h>
#include <agg_scanline_p.h>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

agg::path_storage PathOf(const std::vector<CanvasPoint>& points, bool closed) {
  agg::path_storage path;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (i == 0) {
      path.move_to(points[i].x, points[i].y);
    } else {
      path.line_to(points[i].x, points[i].y);
    }
  }
  if (closed) path.close_polygon();
  return path;
}

template <typename Outline>
void Render(const at::Tensor& pixels, Outline& outline, Colour colour) {
  const auto width = static_cast<unsigned>(pixels.size(1)), height = static_cast<unsigned>(pixels.size(0));
  agg::rendering_buffer buffer(pixels.data_ptr<std::uint8_t>(), width, height, static_cast<int>(3 * width));
  agg::pixfmt_rgb24 format(buffer);
  agg::renderer_base<agg::pixfmt_rgb24> renderer(format);
  agg::rasterizer_scanline_aa<> rasterizer;
  rasterizer.clip_box(0, 0, width, height);
  rasterizer.add_path(outline);
  agg::scanline_p8 scanline;
  agg::render_scanlines_aa_solid(rasterizer, scanline, renderer, agg::rgba8(colour.red, colour.green, colour.blue));
}

template <typename Path>
void RenderStroke(const at::Tensor& pixels, Path& path, Colour colour, double width) {
  agg::conv_stroke<Path> stroke(path);
  stroke.width(width);
  stroke.line_join(agg::round_join);
  stroke.line_cap(agg::round_cap);
  Render(pixels, stroke, colour);
}

}  // namespace

Canvas::Canvas(const Size& size) : pixels_(at::full({size.height, size.width, 3}, 255, at::kByte)) {}

void Canvas::Line(const std::vector<CanvasPoint>& points, const Stroke& stroke) {
  agg::path_storage path = PathOf(points, stroke.closed);
  RenderStroke(pixels_, path, stroke.colour, stroke.width);
}

void Canvas::Fill(const std::vector<CanvasPoint>& polygon, Colour colour) {
  agg::path_storage path = PathOf(polygon, /*closed=*/true);
  Render(pixels_, path, colour);
}

double Canvas::WidthOf(const std::string& text, double height) {
  agg::gsv_text words;
  words.size(height);
  words.text(text.c_str());
  return words.text_width();
}

void Canvas::Text(const std::string& text, CanvasPoint at, const Words& words) {
  const double share = words.align == Align::kLeft ? 0 : words.align == Align::kMiddle ? 0.5 : 1;
  agg::gsv_text outline;
  outline.flip(true);
  outline.size(words.height);
  outline.start_point(at.x - share * WidthOf(text, words.height), at.y);
  outline.text(text.c_str());
  RenderStroke(pixels_, outline, words.colour, words.width);
}

void Canvas::Paste(const at::Tensor& image, const Corner& corner) {
  LCSC_CHECK(image.dim() == 3 && image.size(0) == 3 && image.scalar_type() == at::kByte);
  LCSC_CHECK(corner.x >= 0 && corner.y >= 0 && corner.x + image.size(2) <= pixels_.size(1) &&
             corner.y + image.size(1) <= pixels_.size(0));
  pixels_.narrow(0, corner.y, image.size(1)).narrow(1, corner.x, image.size(2)).copy_(image.permute({1, 2, 0}));
}

at::Tensor Canvas::ToImage() const { return pixels_.permute({2, 0, 1}).contiguous(); }

}  // namespace lcsc
