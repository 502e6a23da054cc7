#include "lcsc/store/trajectory.h"

#include <algorithm>
#include <array>

#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"

namespace lcsc {
namespace {

struct StorageTypeInfo {
  StorageType type;
  const char* name;
  at::ScalarType torch;
};
constexpr std::array<StorageTypeInfo, 3> kStorageTypes = {{
    {StorageType::kFloat32, "f32", at::kFloat},
    {StorageType::kFloat16, "f16", at::kHalf},
    {StorageType::kBFloat16, "bf16", at::kBFloat16},
}};

const StorageTypeInfo& InfoOf(StorageType type) {
  const auto* info = std::ranges::find(kStorageTypes, type, &StorageTypeInfo::type);
  LCSC_CHECK(info != kStorageTypes.end());
  return *info;
}

nlohmann::json ManifestEntry(const TensorEntry& entry) {
  return {{"name", entry.name}, {"type", DataTypeName(entry.type)}, {"shape", entry.shape}};
}

std::string DigestOfTensor(const at::Tensor& tensor) {
  const at::Tensor contiguous = tensor.contiguous();
  return DigestOf(std::string_view(static_cast<const char*>(contiguous.data_ptr()), contiguous.nbytes()));
}

// One digest per parameter range, in the order of the ranges.
std::vector<std::string> RowDigests(const std::vector<ShardFile>& shards, std::int64_t checkpoint) {
  std::vector<std::pair<std::int64_t, std::string>> by_parameter;
  for (const ShardFile& shard : shards) {
    if (checkpoint < shard.checkpoints.begin || checkpoint >= shard.checkpoints.end) continue;
    const std::int64_t row = checkpoint - shard.first_row_checkpoint();
    by_parameter.emplace_back(shard.parameters.begin,
                              row < 0 ? shard.base_digest : shard.row_digests.at(static_cast<std::size_t>(row)));
  }
  std::ranges::sort(by_parameter);
  std::vector<std::string> digests;
  for (auto& [begin, digest] : by_parameter) digests.push_back(std::move(digest));
  return digests;
}

}  // namespace

const char* StorageTypeName(StorageType type) { return InfoOf(type).name; }

StorageType StorageTypeFromName(const std::string& name) {
  const auto* info =
      std::ranges::find_if(kStorageTypes, [&](const StorageTypeInfo& known) { return name == known.name; });
  if (info == kStorageTypes.end()) throw ConfigError("storage type: expected f32, f16 or bf16, found \"{}\"", name);
  return info->type;
}

at::ScalarType ScalarTypeOf(StorageType type) { return InfoOf(type).torch; }

nlohmann::json Trajectory::Content() const {
  nlohmann::json content = {{"network", nlohmann::json::parse(network_json)},
                            {"storage", StorageTypeName(storage)},
                            {"tensors", nlohmann::json::array()},
                            {"carried", nlohmann::json::array()},
                            {"checkpoints", nlohmann::json::array()}};
  for (const TensorEntry& entry : table.entries()) content["tensors"].push_back(ManifestEntry(entry));
  for (const auto& [name, tensor] : carried) {
    nlohmann::json description =
        ManifestEntry({.name = name, .type = DataTypeOf(tensor), .shape = tensor.sizes().vec(), .offset = 0});
    description["digest"] = DigestOfTensor(tensor);
    content["carried"].push_back(std::move(description));
  }
  for (std::int64_t i = 0; i < num_checkpoints(); ++i) {
    content["checkpoints"].push_back(
        {{"step", steps[static_cast<std::size_t>(i)]}, {"digests", RowDigests(shards, i)}});
  }
  if (lora) content["lora"] = LoraContent(*lora);
  return content;
}

std::string Trajectory::Digest() const { return DigestOf(Content().dump()); }

}  // namespace lcsc
