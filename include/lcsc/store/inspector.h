// What is in a file of ours, for people and scripts.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace lcsc {

// A trajectory's folder, a .safetensors or an .npz file, as
//   {"kind", "path", "bytes", ...; "tensors": [{"name", "type", "shape"}]}
// with version, steps, network, digests where the kind has them. Throws InputError for other files and damaged ones.
nlohmann::json DescribeFile(const std::filesystem::path& path);

}  // namespace lcsc
