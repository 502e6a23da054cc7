// The list of tensors of a network: what a checkpoint must contain, and where each tensor lies in the flat vector
// theta that is merged.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lcsc {

enum class DataType { kFloat64, kFloat32, kFloat16, kBFloat16, kInt64, kInt32, kInt16, kInt8, kUInt8, kBool };

// "F32", "BF16", ...: the names of the .safetensors format.
const char* DataTypeName(DataType type);
// Throws InputError for a name that the format does not have.
DataType DataTypeFromName(const std::string& name);
std::int64_t BytesPerElement(DataType type);
bool IsFloatingPoint(DataType type);

struct TensorEntry {
  std::string name;
  DataType type = DataType::kFloat32;
  std::vector<std::int64_t> shape;
  std::int64_t offset = 0;  // in elements, in the flat vector

  std::int64_t num_elements() const;
  bool operator==(const TensorEntry&) const = default;
};

// "[64, 3, 3, 3]"
std::string ShapeText(const std::vector<std::int64_t>& shape);

// The merged tensors, by name in ascending order, laid out one after another.
class TensorTable {
 public:
  TensorTable() = default;
  // Sorts by name and assigns the offsets.
  explicit TensorTable(std::vector<TensorEntry> entries);

  const std::vector<TensorEntry>& entries() const { return entries_; }
  std::int64_t num_elements() const { return num_elements_; }  // p: the length of theta
  bool operator==(const TensorTable&) const = default;

 private:
  std::vector<TensorEntry> entries_;
  std::int64_t num_elements_ = 0;
};

}  // namespace lcsc
