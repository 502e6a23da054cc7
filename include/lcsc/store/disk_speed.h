// How fast a folder's disk takes and gives a plain file: what a packer's own rate is compared with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace lcsc {

// Bytes per second of one sequential write of num_bytes, fsync included, into `folder`; the file is removed. Nothing
// when the file cannot be written.
std::optional<double> MeasureSequentialWrite(const std::filesystem::path& folder, std::int64_t num_bytes);

struct DiskSpeed {
  double write_bytes_per_second = 0;
  double read_bytes_per_second = 0;  // after the system was asked to forget the file; a server may still know it
};
// The same, and reading it back. Nothing when the file cannot be written or read.
std::optional<DiskSpeed> MeasureDisk(const std::filesystem::path& folder, std::int64_t num_bytes);

}  // namespace lcsc
