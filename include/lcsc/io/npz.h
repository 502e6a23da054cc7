// NumPy's .npz archives (zip of .npy): what pytorch-fid, EDM and OpenAI's evaluation exchange.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace lcsc {

// Reads the named arrays, C order, little-endian f8 f4 f2 i8 i4 i2 i1 u1 b1, in their own dtype.
// max_bytes bounds each array before memory is asked for it. Throws InputError (missing file, no such array, damaged
// or Fortran-ordered or object array, larger than max_bytes).
std::map<std::string, at::Tensor> ReadNpz(const std::filesystem::path& path, const std::vector<std::string>& names,
                                          std::int64_t max_bytes = std::int64_t{1} << 34);
// The names of the arrays in the archive, without ".npy".
std::vector<std::string> ListNpz(const std::filesystem::path& path);

// What an array's header says.
struct NpzEntry {
  std::string name;   // without ".npy"
  std::string descr;  // NumPy's name of the dtype: "<f8", "|u1", "<U12"
  std::vector<std::int64_t> shape;
};
// Reads the headers alone. Throws InputError.
std::vector<NpzEntry> DescribeNpz(const std::filesystem::path& path);

// Publishes the archive atomically. Text is stored as a NumPy unicode scalar, as np.savez does for a Python string.
void WriteNpz(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& arrays,
              const std::map<std::string, std::string>& texts = {});

// The text scalar `name` of the archive, or "" when it has none of that name.
std::string ReadNpzText(const std::filesystem::path& path, const std::string& name);

}  // namespace lcsc
