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

#include "lcsc/io/tensor_table.h"

namespace lcsc {

class SafetensorsFile {
 public:
  // Reads and validates the header. Throws InputError that names the file, the tensor, what was expected and found.
  explicit SafetensorsFile(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  // The free-form strings under "__metadata__".
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Every tensor by name in ascending order; `offset` is unused (0).
  const std::vector<TensorEntry>& entries() const { return entries_; }
  bool Contains(const std::string& name) const;
  // Reads one tensor into new CPU memory, in its own dtype and shape. Throws InputError if absent or unreadable.
  at::Tensor Read(const std::string& name) const;

 private:
  struct ByteRange {
    std::uint64_t begin, end;  // in the file
  };
  std::filesystem::path path_;
  std::map<std::string, std::string> metadata_;
  std::vector<TensorEntry> entries_;
  std::vector<ByteRange> ranges_;  // parallel to entries_
};

using NamedTensors = std::map<std::string, at::Tensor>;

// All tensors of a file.
NamedTensors ReadSafetensors(const std::filesystem::path& path);

// Publishes the file atomically. Tensors are written by name in ascending order, contiguous, on the CPU.
void WriteSafetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata = {});

DataType DataTypeOf(const at::Tensor& tensor);
at::ScalarType ScalarTypeOf(DataType type);

}  // namespace lcsc
