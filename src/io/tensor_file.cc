#include "lcsc/io/tensor_file.h"

#include <algorithm>
#include <array>

#include "lcsc/base/error.h"
#include "lcsc/io/safetensors.h"

namespace lcsc {
namespace {

struct TypePair {
  DataType ours;
  at::ScalarType torch;
};
constexpr std::array<TypePair, 10> kTypePairs = {{
    {DataType::kFloat64, at::kDouble},
    {DataType::kFloat32, at::kFloat},
    {DataType::kFloat16, at::kHalf},
    {DataType::kBFloat16, at::kBFloat16},
    {DataType::kInt64, at::kLong},
    {DataType::kInt32, at::kInt},
    {DataType::kInt16, at::kShort},
    {DataType::kInt8, at::kChar},
    {DataType::kUInt8, at::kByte},
    {DataType::kBool, at::kBool},
}};

}  // namespace

DataType DataTypeOf(const at::Tensor& tensor) {
  const auto* pair = std::ranges::find(kTypePairs, tensor.scalar_type(), &TypePair::torch);
  if (pair == kTypePairs.end()) {
    throw InputError("tensors of type {} are not supported; expected a real floating-point, integer or bool type",
                     c10::toString(tensor.scalar_type()));
  }
  return pair->ours;
}

at::ScalarType ScalarTypeOf(DataType type) { return std::ranges::find(kTypePairs, type, &TypePair::ours)->torch; }

bool TensorFile::Contains(const std::string& name) const {
  return std::ranges::binary_search(entries_, name, {}, &TensorEntry::name);
}

std::size_t TensorFile::IndexOf(const std::string& name) const {
  const auto entry = std::ranges::lower_bound(entries_, name, {}, &TensorEntry::name);
  if (entry == entries_.end() || entry->name != name) {
    throw InputError("{}: expected a tensor \"{}\", found none of that name among {}", path_.string(), name,
                     entries_.size());
  }
  return static_cast<std::size_t>(entry - entries_.begin());
}

NamedTensors TensorFile::ReadAll() const {
  NamedTensors tensors;
  for (const TensorEntry& entry : entries_) tensors[entry.name] = Read(entry.name);
  return tensors;
}

std::unique_ptr<TensorFile> OpenTensorFile(const std::filesystem::path& path) {
  return std::make_unique<SafetensorsFile>(path);
}

}  // namespace lcsc
