#include "lcsc/io/canvas.h"

#include <gtest/gtest.h>

namespace lcsc {
namespace {

constexpr Colour kRed{255, 0, 0}, kBlack{0, 0, 0};

// What is not white, as a count of whole pixels.
double InkOf(const at::Tensor& image) { return (255 - image.to(at::kDouble)).sum().item<double>() / (3 * 255); }

TEST(CanvasTest, FillsTheAreaOfAPolygon) {
  Canvas canvas({20, 10});
  canvas.Fill({{2, 3}, {7.5, 3}, {7.5, 8}, {2, 8}}, kBlack);
  const at::Tensor image = canvas.ToImage();
  EXPECT_EQ(image.sizes().vec(), (std::vector<std::int64_t>{3, 10, 20}));
  EXPECT_NEAR(InkOf(image), 5.5 * 5, 0.1);
  EXPECT_EQ(image[0][3][2].item<int>(), 0);
  EXPECT_EQ(image[0][2][2].item<int>(), 255);
  EXPECT_NEAR(image[0][5][7].item<int>(), 127, 2) << "half of the pixel";
}

TEST(CanvasTest, StrokesALineAndItsColour) {
  Canvas canvas({30, 30});
  canvas.Line({{5, 15}, {25, 15}}, {.colour = kRed, .width = 2});
  const at::Tensor image = canvas.ToImage();
  EXPECT_EQ(image[0][15][15].item<int>(), 255);
  EXPECT_EQ(image[1][15][15].item<int>(), 0);
  EXPECT_EQ(image[1][18][15].item<int>(), 255);
  // 20 x 2 and two half circles, in two of three channels.
  EXPECT_NEAR(InkOf(image), (40 + 3.14) * 2 / 3, 1);
}

TEST(CanvasTest, WhatReachesBeyondTheEdgeIsCutOff) {
  Canvas canvas({10, 10});
  canvas.Fill({{-50, -50}, {60, -50}, {60, 60}, {-50, 60}}, kBlack);
  EXPECT_EQ(InkOf(canvas.ToImage()), 100);
}

TEST(CanvasTest, TextStandsWhereItIsAligned) {
  const double width = Canvas::WidthOf("Step 1380", 12);
  EXPECT_GT(width, 60);
  EXPECT_LT(width, 160);
  const auto columns = [&](Canvas::Align align) {
    Canvas canvas({400, 40});
    canvas.Text("Step 1380", {200, 25}, {.height = 12, .align = align});
    const at::Tensor inked = canvas.ToImage()[0].lt(128).any(0).nonzero();
    EXPECT_GT(inked.numel(), 20);
    return std::pair(inked.min().item<int>(), inked.max().item<int>());
  };
  EXPECT_GE(columns(Canvas::Align::kLeft).first, 199);
  EXPECT_LE(columns(Canvas::Align::kRight).second, 201);
  const auto [left, right] = columns(Canvas::Align::kMiddle);
  EXPECT_NEAR((left + right) / 2.0, 200, 6);
}

TEST(CanvasTest, PastesAnImage) {
  Canvas canvas({5, 4});
  const at::Tensor image = at::arange(12, at::kByte).view({3, 2, 2});
  canvas.Paste(image, {2, 1});
  EXPECT_TRUE(at::equal(canvas.ToImage().slice(1, 1, 3).slice(2, 2, 4), image));
  EXPECT_EQ(canvas.ToImage()[2][0][2].item<int>(), 255);
}

}  // namespace
}  // namespace lcsc
