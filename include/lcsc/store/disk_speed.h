// How fast a folder's disk takes a plain file: what a packer's own rate is compared with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace lcsc {

// Bytes per second of one sequential write of num_bytes, fsync included, into `folder`; the file is removed. Nothing
// when the file cannot be written.
std::optional<double> MeasureSequentialWrite(const std::filesystem::path& folder, std::int64_t num_bytes);

}  // namespace lcsc
