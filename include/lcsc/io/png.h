// PNG images (8 bits, gray or RGB) and grids of them.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <string>

namespace lcsc {

// image: uint8 [c, h, w], c = 1 or 3. Publishes the file atomically.
void WritePng(const std::filesystem::path& path, const at::Tensor& image);
// The bytes of that file.
std::string EncodePng(const at::Tensor& image);
// Returns uint8 [c, h, w], c = 1 or 3 (alpha dropped, palettes expanded, 16 bits cut to 8). Throws InputError.
at::Tensor ReadPng(const std::filesystem::path& path);

struct GridOptions {
  int columns = 10;
  int scale = 4;    // each pixel becomes scale x scale
  int padding = 2;  // pixels between images, after scaling
};
// images: uint8 [n, c, h, w]; returns uint8 [c, H, W].
at::Tensor ImageGrid(const at::Tensor& images, const GridOptions& options);

}  // namespace lcsc
