// What is in a file of ours, for people and scripts.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lcsc/io/tensor_file.h"

namespace lcsc {

// A trajectory's folder, a .safetensors, torch.save or .npz file, as
//   {"kind", "path", "bytes", ...; "tensors": [{"name", "type", "shape"}]}
// with "state_dicts" [{"key", "tensors"}] in place of tensors for a torch.save file of nested dicts without a key,
// with version, steps, network, digests where the kind has them. Throws InputError for other files and damaged ones.
nlohmann::json DescribeFile(const std::filesystem::path& path, const TensorFileOptions& options = {});

}  // namespace lcsc
