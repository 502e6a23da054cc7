#include "lcsc/io/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "lcsc/base/atomic_file.h"
#include "lcsc/base/error.h"

namespace lcsc {
namespace fs = std::filesystem;
using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "the format is little-endian and is read without swapping");

namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
// {tensor: {"shape": [number]}}: a number stands inside three brackets.
constexpr int kMaxHeaderDepth = 3;
constexpr std::size_t kAlignment = 8;
constexpr const char* kMetadataKey = "__metadata__";

[[noreturn]] void Refuse(const fs::path& path, const std::string& reason) {
  throw InputError("{}: not a sound .safetensors file: {}; save or copy the file again", path.string(), reason);
}

[[noreturn]] void RefuseTensor(const fs::path& path, const std::string& name, const std::string& reason) {
  Refuse(path, fmt::format("tensor \"{}\": {}", name, reason));
}

std::ifstream OpenForReading(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file || fs::is_directory(path)) {
    throw InputError("cannot read {}: {}; expected a .safetensors file, check the path", path.string(),
                     file ? "it is a folder" : std::strerror(errno));
  }
  return file;
}

struct HeaderText {
  std::string json;
  std::uint64_t data_bytes;  // what is left of the file behind the header
};

HeaderText ReadHeaderText(const fs::path& path) {
  std::ifstream file = OpenForReading(path);
  const std::uint64_t file_bytes = fs::file_size(path);
  std::uint64_t length = 0;
  if (file_bytes < kLengthBytes || !file.read(reinterpret_cast<char*>(&length), kLengthBytes)) {
    Refuse(path, fmt::format("expected at least {} bytes, found {}", kLengthBytes, file_bytes));
  }
  const std::uint64_t limit = std::min(kMaxHeaderBytes, file_bytes - kLengthBytes);
  if (length > limit) {
    Refuse(path, fmt::format("expected a header of at most {} bytes, found one that claims {}", limit, length));
  }
  HeaderText header{std::string(length, '\0'), file_bytes - kLengthBytes - length};
  if (!file.read(header.json.data(), static_cast<std::streamsize>(length))) Refuse(path, "its header is cut off");
  return header;
}

// Also refuses duplicate keys and deep nesting, which the JSON library lets pass.
json ParseHeader(const fs::path& path, const std::string& text) {
  std::array<std::set<std::string>, kMaxHeaderDepth + 2> keys_at_depth;
  const auto guard = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > kMaxHeaderDepth) Refuse(path, "its header is nested deeper than the format allows");
    const auto level = static_cast<std::size_t>(depth);
    if (event == json::parse_event_t::object_start) keys_at_depth[level + 1].clear();
    if (event == json::parse_event_t::key && !keys_at_depth[level].insert(value.get<std::string>()).second) {
      Refuse(path, fmt::format("\"{}\" stands twice in its header", value.get<std::string>()));
    }
    return true;
  };
  try {
    json header = json::parse(text, guard);
    if (!header.is_object())
      Refuse(path, fmt::format("expected a JSON object as header, found {}", header.type_name()));
    return header;
  } catch (const json::exception& error) {
    Refuse(path, fmt::format("its header is no JSON ({:.200})", error.what()));
  }
}

std::map<std::string, std::string> ParseMetadata(const fs::path& path, const json& header) {
  std::map<std::string, std::string> metadata;
  if (!header.contains(kMetadataKey)) return metadata;
  const json& object = header.at(kMetadataKey);
  if (!object.is_object()) Refuse(path, fmt::format("{} must be an object of strings", kMetadataKey));
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string()) {
      Refuse(path, fmt::format("{}.{} must be a string, found {}", kMetadataKey, key, value.type_name()));
    }
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

// A tensor and its bytes' place behind the header.
struct LocatedTensor {
  TensorEntry entry;
  std::uint64_t begin = 0, end = 0;
};

std::vector<std::uint64_t> ParseNumbers(const fs::path& path, const std::string& name, const json& list,
                                        const char* key) {
  const bool sound =
      list.is_array() && std::ranges::all_of(list, [](const json& number) { return number.is_number_unsigned(); });
  if (!sound) RefuseTensor(path, name, fmt::format("{} must be a list of integers >= 0", key));
  return list.get<std::vector<std::uint64_t>>();
}

// Bytes of a tensor of this shape; refuses what does not fit 63 bits.
std::uint64_t CountBytes(const fs::path& path, const LocatedTensor& tensor, const std::vector<std::uint64_t>& shape) {
  std::int64_t bytes = BytesPerElement(tensor.entry.type);
  for (const std::uint64_t size : shape) {
    if (size > std::numeric_limits<std::int64_t>::max() ||
        __builtin_mul_overflow(bytes, static_cast<std::int64_t>(size), &bytes)) {
      RefuseTensor(path, tensor.entry.name, fmt::format("its shape [{}] is absurdly large", fmt::join(shape, ", ")));
    }
  }
  return static_cast<std::uint64_t>(bytes);
}

LocatedTensor ParseTensor(const fs::path& path, const std::string& name, const json& value) {
  const bool sound = value.is_object() && value.size() == 3 && value.contains("dtype") && value.contains("shape") &&
                     value.contains("data_offsets") && value["dtype"].is_string();
  if (!sound) RefuseTensor(path, name, "expected exactly the keys dtype (text), shape and data_offsets");
  LocatedTensor tensor;
  tensor.entry.name = name;
  try {
    tensor.entry.type = DataTypeFromName(value["dtype"].get<std::string>());
  } catch (const InputError& error) {
    RefuseTensor(path, name, error.what());
  }
  const auto shape = ParseNumbers(path, name, value["shape"], "shape");
  const auto offsets = ParseNumbers(path, name, value["data_offsets"], "data_offsets");
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    RefuseTensor(path, name, "data_offsets must be a begin and an end that is not before it");
  }
  const std::uint64_t bytes = CountBytes(path, tensor, shape);
  tensor.entry.shape.assign(shape.begin(), shape.end());
  tensor.begin = offsets[0];
  tensor.end = offsets[1];
  if (tensor.end - tensor.begin != bytes) {
    RefuseTensor(
        path, name,
        fmt::format("expected {} bytes for type {} and shape {}, found {}", bytes, DataTypeName(tensor.entry.type),
                    ShapeText(tensor.entry.shape), tensor.end - tensor.begin));
  }
  return tensor;
}

// The tensors must cover the data exactly: no overlap, no hole, no byte left over, none missing.
void CheckCoverage(const fs::path& path, std::vector<LocatedTensor> tensors, std::uint64_t data_bytes) {
  std::ranges::sort(tensors, {}, [](const LocatedTensor& tensor) { return std::pair(tensor.begin, tensor.end); });
  std::uint64_t covered = 0;
  for (const LocatedTensor& tensor : tensors) {
    if (tensor.begin != covered) {
      RefuseTensor(path, tensor.entry.name,
                   fmt::format("{}: expected its bytes to begin at {}, found {}",
                               tensor.begin < covered ? "it overlaps another tensor" : "there is a hole before it",
                               covered, tensor.begin));
    }
    if (tensor.end > data_bytes) {
      RefuseTensor(path, tensor.entry.name,
                   fmt::format("the file is truncated: the tensor ends at byte {} of the data, the file has {}",
                               tensor.end, data_bytes));
    }
    covered = tensor.end;
  }
  if (covered != data_bytes) {
    Refuse(path,
           fmt::format("expected {} bytes of tensors, found {} (bytes that belong to none)", covered, data_bytes));
  }
}

// The header of a file that is about to be written, padded so that the data begin aligned.
std::string MakeHeader(const NamedTensors& tensors, const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  std::size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {{"dtype", DataTypeName(DataTypeOf(tensor))},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, offset + tensor.nbytes()}}};
    offset += tensor.nbytes();
  }
  std::string text = header.dump();
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  return text;
}

}  // namespace

SafetensorsFile::SafetensorsFile(fs::path path) : TensorFile(std::move(path)) {
  const HeaderText text = ReadHeaderText(path_);
  const json header = ParseHeader(path_, text.json);
  metadata_ = ParseMetadata(path_, header);
  std::vector<LocatedTensor> tensors;
  for (const auto& [name, value] : header.items()) {
    if (name != kMetadataKey) tensors.push_back(ParseTensor(path_, name, value));
  }
  CheckCoverage(path_, tensors, text.data_bytes);
  const std::uint64_t data_begin = kLengthBytes + text.json.size();
  for (LocatedTensor& tensor : tensors) {  // a JSON object keeps its keys in ascending order
    entries_.push_back(std::move(tensor.entry));
    ranges_.push_back({data_begin + tensor.begin, data_begin + tensor.end});
  }
}

at::Tensor SafetensorsFile::Read(const std::string& name) const {
  const TensorEntry& entry = entries_[IndexOf(name)];
  return ReadElements(name, {0, entry.num_elements()}).view(entry.shape);
}

at::Tensor SafetensorsFile::ReadElements(const std::string& name, ElementRange range) const {
  const std::size_t index = IndexOf(name);
  const TensorEntry& entry = entries_[index];
  LCSC_CHECK(0 <= range.begin && range.begin <= range.end && range.end <= entry.num_elements());
  // A byte other than 0 and 1 must never be looked at as a bool.
  const bool is_bool = entry.type == DataType::kBool;
  const at::Tensor values = at::empty({range.size()}, is_bool ? at::kByte : ScalarTypeOf(entry.type));
  std::ifstream file = OpenForReading(path_);
  file.seekg(static_cast<std::streamoff>(ranges_[index].begin) + range.begin * BytesPerElement(entry.type));
  if (!file.read(static_cast<char*>(values.data_ptr()), static_cast<std::streamsize>(values.nbytes()))) {
    RefuseTensor(path_, name, "its bytes cannot be read, although they were there when the file was opened");
  }
  return is_bool ? values.to(at::kBool) : values;
}

NamedTensors ReadSafetensors(const fs::path& path) { return SafetensorsFile(path).ReadAll(); }

void WriteSafetensors(const fs::path& path, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata) {
  if (tensors.contains(kMetadataKey)) {
    throw InputError(
        "cannot write {}: a tensor is called {}, a name that .safetensors files keep for themselves; write a .pt file",
        path.string(), kMetadataKey);
  }
  PublishFile(path, [&](const fs::path& temporary) {
    std::ofstream file(temporary, std::ios::binary);
    const std::string header = MakeHeader(tensors, metadata);
    const std::uint64_t length = header.size();
    file.write(reinterpret_cast<const char*>(&length), kLengthBytes);
    file.write(header.data(), static_cast<std::streamsize>(length));
    for (const auto& [name, tensor] : tensors) {
      const at::Tensor contiguous = tensor.detach().cpu().contiguous();
      file.write(static_cast<const char*>(contiguous.data_ptr()), static_cast<std::streamsize>(contiguous.nbytes()));
    }
    file.close();
    if (!file) {
      throw IoError("cannot write {}: {}; free some space or choose another folder", path.string(),
                    std::strerror(errno));
    }
  });
}

}  // namespace lcsc
