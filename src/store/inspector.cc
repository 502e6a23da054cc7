#include "lcsc/store/inspector.h"

#include <set>

#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lcsc/io/npz.h"
#include "lcsc/io/torch_archive.h"
#include "lcsc/store/trajectory.h"
#include "manifest.h"

namespace lcsc {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

json DescribeTensor(const TensorEntry& entry) {
  return {{"name", entry.name}, {"type", DataTypeName(entry.type)}, {"shape", entry.shape}};
}

// A torch.save file that needs a key before it is a list of tensors.
bool IsNested(const std::vector<StateDictPlace>& places) { return places.size() != 1 || !places.front().key.empty(); }

json DescribeStateDicts(const fs::path& path, const std::vector<StateDictPlace>& places) {
  json description = {{"kind", "torch.save"}, {"state_dicts", json::array()}, {"digest", DigestOfFile(path)}};
  for (const StateDictPlace& place : places) {
    description["state_dicts"].push_back({{"key", place.key}, {"tensors", place.num_tensors}});
  }
  return description;
}

json DescribeTensorFile(const fs::path& path, const TensorFileOptions& options) {
  const bool is_torch = IsTorchArchive(path);
  if (is_torch && options.key.empty()) {
    const std::vector<StateDictPlace> places = ListStateDicts(path);
    if (IsNested(places)) return DescribeStateDicts(path, places);
  }
  const auto opened = OpenTensorFile(path, options);
  const TensorFile& file = *opened;
  json description = {
      {"kind", is_torch ? "torch.save" : "safetensors"}, {"metadata", file.metadata()}, {"tensors", json::array()}};
  std::int64_t num_elements = 0;
  for (const TensorEntry& entry : file.entries()) {
    description["tensors"].push_back(DescribeTensor(entry));
    num_elements += entry.num_elements();
  }
  description["num_elements"] = num_elements;
  description["digest"] = DigestOfFile(path);
  const auto config = file.metadata().find("config");
  const bool has_network = config != file.metadata().end() && json::accept(config->second);
  description["network"] = has_network ? json::parse(config->second) : json();
  return description;
}

json DescribeArrays(const fs::path& path) {
  json description = {{"kind", "npz"}, {"tensors", json::array()}, {"digest", DigestOfFile(path)}};
  for (const NpzEntry& entry : DescribeNpz(path)) {
    description["tensors"].push_back({{"name", entry.name}, {"type", entry.descr}, {"shape", entry.shape}});
  }
  return description;
}

json DescribeShards(const Trajectory& trajectory) {
  json shards = json::array();
  for (const ShardFile& shard : trajectory.shards) {
    shards.push_back({{"file", shard.name},
                      {"bytes", fs::file_size(trajectory.folder / shard.name)},
                      {"parameters", {shard.parameters.begin, shard.parameters.end}},
                      {"checkpoints", {shard.checkpoints.begin, shard.checkpoints.end}}});
  }
  return shards;
}

json DescribeTrajectory(const fs::path& folder) {
  const Trajectory trajectory = ReadTrajectory(folder);
  json description = trajectory.Content();
  description.update({{"kind", "trajectory"},
                      {"version", VersionOf(trajectory)},
                      {"digest", trajectory.Digest()},
                      {"steps", trajectory.steps},
                      {"num_elements", trajectory.table.num_elements()},
                      {"shard_elements", trajectory.shard_elements},
                      {"buffers_regex", trajectory.buffers_regex},
                      {"shards", DescribeShards(trajectory)}});
  if (trajectory.lora) {
    description["lora_base_model"] = trajectory.lora->base_model.string();
    description["lora_base_digest"] = trajectory.lora->base_digest;
    if (!trajectory.lora->base_key.empty()) description["lora_base_key"] = trajectory.lora->base_key;
    description["lora_layers"] = description["lora"]["layers"];
    description.erase("lora");
  }
  for (std::size_t i = 0; i < trajectory.sources.size(); ++i) {
    description["checkpoints"][i]["file"] = trajectory.sources[i].file_name;
    description["checkpoints"][i]["file_digest"] = trajectory.sources[i].digest;
  }
  return description;
}

std::uintmax_t BytesOf(const fs::path& path) {
  if (!fs::is_directory(path)) return fs::file_size(path);
  std::uintmax_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(path)) bytes += entry.file_size();
  return bytes;
}

json DescribeByKind(const fs::path& path, const TensorFileOptions& options) {
  static const std::set<std::string> kWeights = {".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pkl"};
  if (fs::is_directory(path)) return DescribeTrajectory(path);
  if (path.extension() == ".npz") return DescribeArrays(path);
  if (kWeights.contains(path.extension()) || IsTorchArchive(path)) return DescribeTensorFile(path, options);
  throw InputError("{}: expected a trajectory's folder, a .safetensors, torch.save or .npz file", path.string());
}

}  // namespace

json DescribeFile(const fs::path& path, const TensorFileOptions& options) {
  if (!fs::exists(path)) throw InputError("cannot read {}: no such file or folder; check the path", path.string());
  json description = DescribeByKind(path, options);
  description["path"] = path.string();
  description["bytes"] = BytesOf(path);
  return description;
}

}  // namespace lcsc
