#include "lcsc/io/tensor_file.h"

#include <algorithm>
#include <array>
#include <fstream>

#include "lcsc/base/error.h"
#include "lcsc/io/pickle_reader.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/io/torch_archive.h"

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

constexpr const char* kConverter = "launch/convert_pickle.py";

// A pickle of protocol 2 or later that torch.save did not write: EDM's .pkl. A .safetensors file whose header happens
// to have such a length goes on with the header's '{'.
bool IsBarePickle(const std::filesystem::path& path) {
  std::array<unsigned char, 9> bytes{};
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(bytes.data()), bytes.size());
  return bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5 && bytes[8] != '{';
}

// Reads as far as the first global that is refused, so that the message names it.
[[noreturn]] void RefuseBarePickle(const std::filesystem::path& path) {
  constexpr std::size_t kLookAt = 1 << 20;
  std::string bytes(std::min<std::uintmax_t>(kLookAt, std::filesystem::file_size(path)), '\0');
  std::ifstream(path, std::ios::binary).read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  try {
    ReadPickle({bytes, path.string()});
  } catch (const InputError& error) {
    // What ends the reading otherwise is where we stop looking, or a pickle that no state dict is.
    if (std::string(error.what()).find(kConverter) != std::string::npos) throw;
  }
  throw InputError(
      "{}: expected a .safetensors file or a torch.save archive, found a bare pickle; convert it with {} "
      "where the code that wrote it runs",
      path.string(), kConverter);
}

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

at::Tensor TensorFile::ReadElements(const std::string& name, ElementRange range) const {
  return Read(name).flatten().slice(0, range.begin, range.end);
}

std::unique_ptr<TensorFile> OpenTensorFile(const std::filesystem::path& path, const TensorFileOptions& options) {
  if (IsTorchArchive(path)) return std::make_unique<TorchArchive>(path, options.key);
  if (IsBarePickle(path)) RefuseBarePickle(path);
  if (!options.key.empty()) {
    throw InputError("{}: --key {}: only files that torch.save wrote have keys; leave it out", path.string(),
                     options.key);
  }
  return std::make_unique<SafetensorsFile>(path);
}

}  // namespace lcsc
