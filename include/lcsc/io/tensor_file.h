// A file of named tensors, whatever its format: what checkpoints, weights and inputs are read from.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lcsc/io/tensor_table.h"

namespace lcsc {

DataType DataTypeOf(const at::Tensor& tensor);
at::ScalarType ScalarTypeOf(DataType type);

using NamedTensors = std::map<std::string, at::Tensor>;

// Elements [begin, end) of a tensor in C order.
struct ElementRange {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
};

// The header is read and validated when the file is opened, tensors when they are asked for. Readers believe nothing:
// every size is bounded before memory is asked for it.
class TensorFile {
 public:
  virtual ~TensorFile() = default;

  const std::filesystem::path& path() const { return path_; }
  // The free-form strings of the file ("config": the network's JSON, "step"); empty for formats that have none.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Every tensor by name in ascending order; `offset` is unused (0).
  const std::vector<TensorEntry>& entries() const { return entries_; }
  bool Contains(const std::string& name) const;
  // Reads one tensor into new contiguous CPU memory, in its own dtype and shape. Throws InputError if absent or
  // unreadable.
  virtual at::Tensor Read(const std::string& name) const = 0;
  // Reads part of one tensor as a vector. REQUIRES: the range lies inside the tensor.
  virtual at::Tensor ReadElements(const std::string& name, ElementRange range) const;
  NamedTensors ReadAll() const;
  // Lets go of the file where the format keeps it open; the next Read opens it again.
  virtual void Close() const {}

 protected:
  explicit TensorFile(std::filesystem::path path) : path_(std::move(path)) {}
  // The position of a tensor in entries(). Throws InputError if absent.
  std::size_t IndexOf(const std::string& name) const;

  std::filesystem::path path_;
  std::map<std::string, std::string> metadata_;
  std::vector<TensorEntry> entries_;
};

struct TensorFileOptions {
  // The dict of tensors in a torch.save file of nested dicts: "ema", "state.ema", "4" for a list's fifth item.
  std::string key;
};

// Opens by content, not by name: .safetensors or what torch.save wrote (io/torch_archive.h). Throws InputError that
// names the file, what was expected and found; also when a key is given for a format that has none.
std::unique_ptr<TensorFile> OpenTensorFile(const std::filesystem::path& path, const TensorFileOptions& options = {});

}  // namespace lcsc
