// .safetensors files: an 8-byte little-endian header length, a JSON header, the tensors' bytes.
// The reader believes nothing: the header is bounded, every offset lies inside the file, no two tensors overlap, no
// byte is left over, and shape x type agrees with the length. Format: docs/safetensors.md.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lcsc/io/tensor_file.h"
#include "lcsc/io/tensor_table.h"

namespace lcsc {

class SafetensorsFile : public TensorFile {
 public:
  // Reads and validates the header. Throws InputError that names the file, the tensor, what was expected and found.
  explicit SafetensorsFile(std::filesystem::path path);

  at::Tensor Read(const std::string& name) const override;
  at::Tensor ReadElements(const std::string& name, ElementRange range) const override;

 private:
  struct ByteRange {
    std::uint64_t begin, end;  // in the file
  };
  std::vector<ByteRange> ranges_;  // parallel to entries_
};

// All tensors of a file.
NamedTensors ReadSafetensors(const std::filesystem::path& path);

// Publishes the file atomically. Tensors are written by name in ascending order, contiguous, on the CPU.
// Throws InputError for the name __metadata__, which the format reserves; IoError.
void WriteSafetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace lcsc
