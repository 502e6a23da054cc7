#include "lcsc/metric/feature_file.h"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lcsc/base/error.h"
#include "lcsc/io/npz.h"
#include "lcsc/metric/feature_check.h"

namespace lcsc {
namespace {

constexpr const char* kFeatures = "features";
constexpr const char* kImages = "arr_0";
// Names listed in a message: a checkpoint given by mistake has thousands.
constexpr std::size_t kListedNames = 12;

struct Array {
  std::string name, type;
  std::vector<std::int64_t> shape;
  bool is_floating_point;
};

// What the headers say; `tensors` is null for an .npz.
std::vector<Array> Describe(const std::filesystem::path& path, const TensorFile* tensors) {
  std::vector<Array> arrays;
  if (tensors != nullptr) {
    for (const TensorEntry& entry : tensors->entries()) {
      arrays.push_back({entry.name, DataTypeName(entry.type), entry.shape, IsFloatingPoint(entry.type)});
    }
  } else {
    for (const NpzEntry& entry : DescribeNpz(path)) {
      arrays.push_back({entry.name, entry.descr, entry.shape, entry.descr.starts_with("<f")});
    }
  }
  return arrays;
}

std::string Listing(const std::vector<Array>& arrays) {
  std::vector<std::string> words;
  for (const Array& array : arrays) {
    if (words.size() == kListedNames) {
      words.push_back(fmt::format("and {} more", arrays.size() - kListedNames));
      break;
    }
    words.push_back(fmt::format("'{}' {} {}", array.name, array.type, ShapeText(array.shape)));
  }
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, ", "));
}

}  // namespace

FeatureFile::FeatureFile(std::filesystem::path path) : path_(std::move(path)) {
  if (path_.extension() != ".npz") {
    tensors_ = OpenTensorFile(path_);
    return;
  }
  npz_names_ = ListNpz(path_);
  if (std::ranges::count(npz_names_, "lcsc") == 1) npz_provenance_ = ReadNpzText(path_, "lcsc");
}

bool FeatureFile::Contains(const std::string& key) const {
  return tensors_ ? tensors_->Contains(key) : std::ranges::count(npz_names_, key) > 0;
}

bool FeatureFile::HasStatistics() const { return !tensors_ && Contains("mu") && Contains("sigma"); }

std::string FeatureFile::DefaultKey() const {
  if (Contains(kFeatures)) return kFeatures;
  if (HasStatistics()) return "";
  const std::vector<Array> arrays = Describe(path_, tensors_.get());
  const auto is_candidate = [](const Array& array) { return array.is_floating_point && array.shape.size() == 2; };
  if (std::ranges::count_if(arrays, is_candidate) == 1) return std::ranges::find_if(arrays, is_candidate)->name;
  if (Contains(kImages)) {
    throw InputError(
        "{}: expected features or statistics, found images ('{}'); make features of them with `lcsc features`, or "
        "statistics with `lcsc reference`",
        path_.string(), kImages);
  }
  throw InputError("{}: expected an array '{}' or only one floating-point array [n, d], found {}; name the array",
                   path_.string(), kFeatures, Listing(arrays));
}

at::Tensor FeatureFile::Read(const std::string& key) const {
  if (!Contains(key)) {
    throw InputError("{}: expected an array '{}', found {}", path_.string(), key,
                     Listing(Describe(path_, tensors_.get())));
  }
  const at::Tensor array = tensors_ ? tensors_->Read(key) : ReadNpz(path_, {key}).at(key);
  CheckFeatures(array, {fmt::format("{}: array '{}'", path_.string(), key)});
  return array;
}

std::string FeatureFile::Fact(const std::string& name) const {
  if (tensors_) {
    const auto fact = tensors_->metadata().find(name);
    return fact == tensors_->metadata().end() ? "" : fact->second;
  }
  const auto provenance = nlohmann::json::parse(npz_provenance_, nullptr, /*allow_exceptions=*/false);
  if (!provenance.is_object() || !provenance.contains(name)) return "";
  const nlohmann::json& fact = provenance[name];
  return fact.is_string() ? fact.get<std::string>() : fact.dump();
}

}  // namespace lcsc
