#include "lcsc/io/tensor_table.h"

#include <algorithm>
#include <array>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

struct DataTypeInfo {
  DataType type;
  const char* name;
  std::int64_t bytes;
  bool floating_point;
};

constexpr std::array<DataTypeInfo, 10> kDataTypes = {{
    {DataType::kFloat64, "F64", 8, true},
    {DataType::kFloat32, "F32", 4, true},
    {DataType::kFloat16, "F16", 2, true},
    {DataType::kBFloat16, "BF16", 2, true},
    {DataType::kInt64, "I64", 8, false},
    {DataType::kInt32, "I32", 4, false},
    {DataType::kInt16, "I16", 2, false},
    {DataType::kInt8, "I8", 1, false},
    {DataType::kUInt8, "U8", 1, false},
    {DataType::kBool, "BOOL", 1, false},
}};

const DataTypeInfo& InfoOf(DataType type) {
  const auto* info = std::ranges::find(kDataTypes, type, &DataTypeInfo::type);
  LCSC_CHECK(info != kDataTypes.end());
  return *info;
}

}  // namespace

const char* DataTypeName(DataType type) { return InfoOf(type).name; }

DataType DataTypeFromName(const std::string& name) {
  const auto* info = std::ranges::find_if(kDataTypes, [&](const DataTypeInfo& known) { return name == known.name; });
  if (info == kDataTypes.end()) {
    std::string known_names;
    for (const DataTypeInfo& known : kDataTypes) known_names += fmt::format(" {}", known.name);
    throw InputError("unknown tensor type \"{}\"; expected one of{}", name, known_names);
  }
  return info->type;
}

std::int64_t BytesPerElement(DataType type) { return InfoOf(type).bytes; }

bool IsFloatingPoint(DataType type) { return InfoOf(type).floating_point; }

std::int64_t TensorEntry::num_elements() const {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

std::string ShapeText(const std::vector<std::int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

TensorTable::TensorTable(std::vector<TensorEntry> entries) : entries_(std::move(entries)) {
  std::ranges::sort(entries_, {}, &TensorEntry::name);
  for (TensorEntry& entry : entries_) {
    entry.offset = num_elements_;
    num_elements_ += entry.num_elements();
  }
}

}  // namespace lcsc
