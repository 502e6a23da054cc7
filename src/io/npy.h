// The header of one .npy array: what NumPy writes before the bytes (NumPy enhancement proposal 1, versions 1.0 to 3.0).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lcsc {

struct NpyHeader {
  std::string descr;  // "<f8", "|u1", "<U12", ...
  bool fortran_order = false;
  std::vector<std::int64_t> shape;

  // Throws InputError that begins with `where` when the count does not fit 63 bits.
  std::int64_t NumElements(const std::string& where) const;
};

// The bytes that stand before the dictionary: magic, version and, behind them, the dictionary's length.
inline constexpr std::size_t kNpyVersionBytes = 8;
// Bytes of the length field that follows. Throws InputError when `start` is no .npy array of a known version.
std::size_t NpyLengthBytes(const std::string& start, const std::string& where);
// dictionary: "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }". Throws InputError.
NpyHeader ParseNpyDictionary(const std::string& dictionary, const std::string& where);

// Everything before the array's bytes, version 1.0, padded to 64 bytes as NumPy does.
std::string MakeNpyStart(const NpyHeader& header);

}  // namespace lcsc
