#include "lcsc/io/image_set.h"

#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "lcsc/base/error.h"
#include "lcsc/io/npz.h"
#include "lcsc/io/png.h"
#include "lcsc/io/safetensors.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

constexpr int kMaxGray = 16;
constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;

// The text of a file, decompressed when it is compressed.
std::string ReadMaybeCompressed(const fs::path& path) {
  const gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) throw InputError("cannot read {}; check that the file exists and is readable", path.string());
  std::string text, block(1 << 20, '\0');
  int count = 0;
  while ((count = gzread(file, block.data(), static_cast<unsigned>(block.size()))) > 0 &&
         text.size() <= kMaxTextBytes) {
    text.append(block, 0, static_cast<std::size_t>(count));
  }
  const bool sound = gzclose(file) == Z_OK && count == 0;
  if (!sound) {
    throw InputError("{}: cannot decompress it: the file is damaged, cut off or larger than {} bytes; copy it again",
                     path.string(), kMaxTextBytes);
  }
  return text;
}

std::vector<int> ParseRow(std::string_view line, const std::string& where) {
  std::vector<int> values;
  const char* cursor = line.data();
  const char* const end = line.data() + line.size();
  for (;;) {
    int value = 0;
    const auto [next, error] = std::from_chars(cursor, end, value);
    if (error != std::errc() || (next != end && *next != ',')) {
      throw InputError("{}, value {}: expected integers with commas between them, found \"{:.40}\"", where,
                       values.size() + 1, std::string_view(cursor, static_cast<std::size_t>(end - cursor)));
    }
    values.push_back(value);
    if (next == end) return values;
    cursor = next + 1;
  }
}

void CheckRow(const std::vector<int>& row, std::size_t expected_size, const std::string& where) {
  if (row.size() != expected_size) {
    throw InputError("{}: expected {} values as in the first row, found {}", where, expected_size, row.size());
  }
  const auto bad = std::find_if(row.begin(), row.end() - 1, [](int v) { return v < 0 || v > kMaxGray; });
  if (bad != row.end() - 1) throw InputError("{}: expected gray values from 0 to {}, found {}", where, kMaxGray, *bad);
  if (row.back() < 0)
    throw InputError("{}: expected a label of at least 0 in the last column, found {}", where, row.back());
}

ImageSet ReadCsv(const fs::path& path) {
  const std::string text = ReadMaybeCompressed(path);
  std::vector<std::uint8_t> pixels;
  std::vector<std::int64_t> labels;
  std::size_t row_size = 0;
  for (std::size_t begin = 0, row_number = 1; begin < text.size(); ++row_number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const std::string where = fmt::format("{}: row {}", path.string(), row_number);
    const std::vector<int> row = ParseRow(line, where);
    if (row_size == 0) row_size = row.size();
    CheckRow(row, row_size, where);
    for (std::size_t i = 0; i + 1 < row_size; ++i) {
      pixels.push_back(static_cast<std::uint8_t>(std::lround(row[i] * 255.0 / kMaxGray)));
    }
    labels.push_back(row.back());
  }
  const auto side = std::lround(std::sqrt(static_cast<double>(row_size) - 1));
  if (labels.empty() || side < 1 || side * side + 1 != static_cast<long>(row_size)) {
    throw InputError("{}: expected rows of h*h gray values and a label, found {} rows of {} values", path.string(),
                     labels.size(), row_size);
  }
  const auto count = static_cast<std::int64_t>(labels.size());
  return {at::tensor(pixels).reshape({count, 1, side, side}), at::tensor(labels)};
}

ImageSet ReadNpzImages(const fs::path& path, const std::string& key) {
  const std::vector<std::string> names = ListNpz(path);
  const at::Tensor nhwc = ReadNpz(path, {key}).at(key);
  const bool sound = nhwc.dim() == 4 && nhwc.scalar_type() == at::kByte && nhwc.numel() > 0;
  if (!sound) {
    throw InputError("{}: array \"{}\": expected uint8 of shape [n, h, w, c], found {} of shape [{}]", path.string(),
                     key, c10::toString(nhwc.scalar_type()), fmt::join(nhwc.sizes().vec(), ", "));
  }
  ImageSet set{nhwc.permute({0, 3, 1, 2}).contiguous(), {}};
  if (std::ranges::count(names, "arr_1") == 0) return set;
  set.labels = ReadNpz(path, {"arr_1"}).at("arr_1");
  if (set.labels.dim() != 1 || set.labels.size(0) != nhwc.size(0) || set.labels.is_floating_point()) {
    throw InputError("{}: array \"arr_1\": expected {} integer labels, found {} of shape [{}]", path.string(),
                     nhwc.size(0), c10::toString(set.labels.scalar_type()), fmt::join(set.labels.sizes().vec(), ", "));
  }
  set.labels = set.labels.to(at::kLong);
  return set;
}

bool HoldsImages(const TensorEntry& entry) { return entry.type == DataType::kUInt8 && entry.shape.size() == 4; }

// The tensor that holds the images when nobody said which.
std::string KeyOfImages(const SafetensorsFile& file) {
  constexpr const char* kDefaultKey = "images";
  if (file.Contains(kDefaultKey)) return kDefaultKey;
  std::vector<std::string> names;
  for (const TensorEntry& entry : file.entries()) {
    if (HoldsImages(entry)) names.push_back(entry.name);
  }
  if (names.size() == 1) return names[0];
  if (names.empty()) {
    throw InputError("{}: expected images, uint8 [n, c, h, w], found none among {} tensors", file.path().string(),
                     file.entries().size());
  }
  throw InputError(
      "{}: expected images as the tensor \"{}\" or as the only uint8 [n, c, h, w], found [{}]; name one "
      "with --key",
      file.path().string(), kDefaultKey, fmt::join(names, ", "));
}

ImageSet ReadSafetensorsImages(const fs::path& path, const std::string& key) {
  const SafetensorsFile file(path);
  const std::string name = key.empty() ? KeyOfImages(file) : key;
  const auto entry = std::ranges::find(file.entries(), name, &TensorEntry::name);
  if (entry == file.entries().end()) {
    std::vector<std::string> names;
    for (const TensorEntry& other : file.entries()) names.push_back(other.name);
    throw InputError("{}: expected a tensor \"{}\", found [{:.400}]", path.string(), name,
                     fmt::format("{}", fmt::join(names, ", ")));
  }
  if (!HoldsImages(*entry) || entry->num_elements() == 0) {
    throw InputError("{}: tensor \"{}\": expected uint8 [n, c, h, w] with n >= 1, found {} {}", path.string(), name,
                     DataTypeName(entry->type), ShapeText(entry->shape));
  }
  return {file.Read(name), {}};
}

ImageSet ReadFolder(const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".png") paths.push_back(entry.path());
  }
  if (paths.empty()) throw InputError("{}: expected *.png files in this folder, found none", folder.string());
  std::ranges::sort(paths);
  std::vector<at::Tensor> images;
  for (const fs::path& path : paths) {
    images.push_back(ReadPng(path));
    if (images.back().sizes() != images.front().sizes()) {
      throw InputError("{}: expected [channels, height, width] = [{}] as in {}, found [{}]; use images of one size",
                       path.string(), fmt::join(images.front().sizes().vec(), ", "), paths.front().filename().string(),
                       fmt::join(images.back().sizes().vec(), ", "));
    }
  }
  return {at::stack(images), {}};
}

}  // namespace

ImageSet ReadImageSet(const fs::path& path, const std::string& key) {
  const std::string name = path.filename().string();
  if (!fs::exists(path)) throw InputError("cannot read {}: no such file or folder; check the path", path.string());
  if (name.ends_with(".safetensors")) return ReadSafetensorsImages(path, key);
  if (name.ends_with(".npz")) return ReadNpzImages(path, key.empty() ? "arr_0" : key);
  if (!key.empty()) {
    throw InputError("{}: a key (\"{}\") is for .safetensors and .npz files; leave it out", path.string(), key);
  }
  if (fs::is_directory(path)) return ReadFolder(path);
  if (name.ends_with(".csv") || name.ends_with(".csv.gz")) return ReadCsv(path);
  throw InputError("{}: expected images as .csv, .csv.gz, .npz, .safetensors or a folder of .png files", path.string());
}

}  // namespace lcsc
