// Sets of images with or without labels, from the files in which users have them.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <string>

namespace lcsc {

struct ImageSet {
  at::Tensor images;  // uint8 [n, c, h, w]
  at::Tensor labels;  // int64 [n], undefined when the file has none
};

// By the name's ending:
//   .csv, .csv.gz   one image a row, h*h gray values 0..16 and the label last (the UCI digits); a value v becomes
//                   round(v * 255 / 16)
//   .npz            `key` or arr_0: uint8 [n, h, w, c] (OpenAI's layout, `lcsc sample`'s); arr_1: labels when present
//   .safetensors    uint8 [n, c, h, w] under `key`; without a key, the tensor "images" or the only one of that kind
//   a folder        its *.png files in ascending order of name, all of one size
// Throws InputError that names the file, the row, what was expected and found; also for a key that the file's kind has
// no use for.
ImageSet ReadImageSet(const std::filesystem::path& path, const std::string& key = "");

}  // namespace lcsc
