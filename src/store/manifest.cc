#include "manifest.h"

#include <algorithm>
#include <cstring>

#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lcsc/store/hdf5.h"
#include "lora_manifest.h"
#include "manifest_check.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

// Of everything that the manifest says: damage to the manifest itself shows here.
std::string ManifestDigest(const Trajectory& trajectory) {
  nlohmann::json layout = {{"buffers_regex", trajectory.buffers_regex}, {"shard_elements", trajectory.shard_elements}};
  for (const CheckpointSource& source : trajectory.sources) {
    layout["sources"].push_back({source.file_name, source.digest});
  }
  for (const ShardFile& shard : trajectory.shards) {
    layout["shards"].push_back(
        {shard.name, shard.parameters.begin, shard.parameters.end, shard.checkpoints.begin, shard.checkpoints.end});
  }
  if (const auto& lora = trajectory.lora) {
    layout["lora"] = {lora->base_model.string(), lora->adapter_config};
    for (const LoraLayer& layer : lora->layers) layout["alphas"].push_back(layer.alpha);
  }
  return DigestOf(trajectory.Content().dump() + layout.dump());
}

// A name that the rest of the program parses; here it can only be wrong because the file is.
template <typename Parse>
auto ParseOrRefuse(const fs::path& path, Parse parse) {
  try {
    return parse();
  } catch (const Error& error) {
    RefuseManifest(path, error.what());
  }
}

// Only valid UTF-8 has a digest.
std::string DigestOrRefuse(const Trajectory& trajectory, const fs::path& path) {
  try {
    return ManifestDigest(trajectory);
  } catch (const nlohmann::json::exception& error) {
    RefuseManifest(path, error.what());
  }
}

void WriteTensorList(Hdf5Group& group, const std::vector<TensorEntry>& entries) {
  std::vector<std::string> names, types, shapes;
  for (const TensorEntry& entry : entries) {
    names.push_back(entry.name);
    types.emplace_back(DataTypeName(entry.type));
    shapes.push_back(ShapeText(entry.shape));
  }
  group.WriteTexts("names", names);
  group.WriteTexts("types", types);
  group.WriteTexts("shapes", shapes);
}

std::vector<TensorEntry> ReadTensorList(const Hdf5Group& group) {
  const auto names = group.ReadTexts("names"), types = group.ReadTexts("types"), shapes = group.ReadTexts("shapes");
  if (types.size() != names.size() || shapes.size() != names.size()) {
    RefuseManifest(group.path(), "lists of unequal length");
  }
  std::vector<TensorEntry> entries;
  std::int64_t num_elements = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    entries.push_back({.name = names[i],
                       .type = ParseOrRefuse(group.path(), [&] { return DataTypeFromName(types[i]); }),
                       .shape = ParseShape(group.path(), names[i], shapes[i]),
                       .offset = 0});
    num_elements += entries.back().num_elements();
    if (num_elements > kMostElements) RefuseManifest(group.path(), "its tensors have too many elements");
  }
  return entries;
}

void WriteCarried(Hdf5Group group, const NamedTensors& carried) {
  std::vector<TensorEntry> entries;
  std::vector<std::uint8_t> bytes;
  for (const auto& [name, tensor] : carried) {
    entries.push_back({.name = name, .type = DataTypeOf(tensor), .shape = tensor.sizes().vec(), .offset = 0});
    const at::Tensor contiguous = tensor.contiguous();
    const auto* const data = static_cast<const std::uint8_t*>(contiguous.data_ptr());
    bytes.insert(bytes.end(), data, data + contiguous.nbytes());
  }
  WriteTensorList(group, entries);
  group.Write<std::uint8_t>("bytes", bytes);
}

NamedTensors ReadCarried(const Hdf5Group& group) {
  const std::vector<std::uint8_t> bytes = group.Read<std::uint8_t>("bytes").values;
  std::size_t offset = 0;
  NamedTensors carried;
  for (const TensorEntry& entry : ReadTensorList(group)) {
    const auto tensor_bytes = static_cast<std::size_t>(entry.num_elements() * BytesPerElement(entry.type));
    if (tensor_bytes > bytes.size() - offset) RefuseManifest(group.path(), "the carried tensors are cut off");
    const at::Tensor tensor = at::empty(entry.shape, ScalarTypeOf(entry.type));
    if (tensor_bytes > 0) std::memcpy(tensor.data_ptr(), bytes.data() + offset, tensor_bytes);
    carried[entry.name] = tensor;
    offset += tensor_bytes;
  }
  return carried;
}

void WriteCheckpoints(Hdf5Group group, const Trajectory& trajectory) {
  std::vector<std::string> files, digests;
  for (const CheckpointSource& source : trajectory.sources) {
    files.push_back(source.file_name);
    digests.push_back(source.digest);
  }
  group.Write<std::int64_t>("steps", trajectory.steps);
  group.WriteTexts("files", files);
  group.WriteTexts("digests", digests);
}

void ReadCheckpoints(const Hdf5Group& group, Trajectory& trajectory) {
  const auto files = group.ReadTexts("files"), digests = group.ReadTexts("digests");
  trajectory.steps = group.Read<std::int64_t>("steps").values;
  if (files.size() != trajectory.steps.size() || digests.size() != files.size()) {
    RefuseManifest(group.path(), "lists of unequal length");
  }
  for (std::size_t i = 0; i < files.size(); ++i) trajectory.sources.push_back({files[i], digests[i]});
}

void WriteShards(Hdf5Group group, const std::vector<ShardFile>& shards) {
  std::vector<std::string> files, base_digests, row_digests;
  std::vector<std::int64_t> parameters, checkpoints;
  for (const ShardFile& shard : shards) {
    files.push_back(shard.name);
    base_digests.push_back(shard.base_digest);
    row_digests.insert(row_digests.end(), shard.row_digests.begin(), shard.row_digests.end());
    parameters.insert(parameters.end(), {shard.parameters.begin, shard.parameters.end});
    checkpoints.insert(checkpoints.end(), {shard.checkpoints.begin, shard.checkpoints.end});
  }
  const auto count = static_cast<std::int64_t>(shards.size());
  group.WriteTexts("files", files);
  group.Write<std::int64_t>("parameters", parameters, {count, 2});
  group.Write<std::int64_t>("checkpoints", checkpoints, {count, 2});
  group.WriteTexts("base_digests", base_digests);
  group.WriteTexts("row_digests", row_digests);
}

std::vector<ShardFile> ReadShards(const Hdf5Group& group) {
  const auto files = group.ReadTexts("files"), base_digests = group.ReadTexts("base_digests");
  const auto row_digests = group.ReadTexts("row_digests");
  const auto parameters = group.Read<std::int64_t>("parameters").values;
  const auto checkpoints = group.Read<std::int64_t>("checkpoints").values;
  if (base_digests.size() != files.size() || parameters.size() != 2 * files.size() ||
      checkpoints.size() != 2 * files.size()) {
    RefuseManifest(group.path(), "lists of unequal length");
  }
  std::vector<ShardFile> shards;
  auto next_digest = row_digests.begin();
  for (std::size_t i = 0; i < files.size(); ++i) {
    ShardFile shard{.name = files[i],
                    .parameters = {parameters[2 * i], parameters[2 * i + 1]},
                    .checkpoints = {checkpoints[2 * i], checkpoints[2 * i + 1]},
                    .base_digest = base_digests[i],
                    .row_digests = {}};
    const auto [first, last] = shard.checkpoints;
    if (first < 0 || last <= first || shard.num_rows() > row_digests.end() - next_digest) {
      RefuseManifest(group.path(), fmt::format("digests of {} are missing", shard.name));
    }
    shard.row_digests.assign(next_digest, next_digest + shard.num_rows());
    next_digest += shard.num_rows();
    shards.push_back(std::move(shard));
  }
  return shards;
}

void CheckVersion(const Hdf5Group& root) {
  const std::string format = root.ReadTextAttribute("format");
  const std::int64_t version = root.ReadIntegerAttribute("version");
  if (format != kTrajectoryFormat || version < kTrajectoryVersion || version > kLoraTrajectoryVersion) {
    throw InputError("{}: expected format \"{}\" version {} or {}, found \"{}\" version {}; use the lcsc that wrote it",
                     root.path().string(), kTrajectoryFormat, kTrajectoryVersion, kLoraTrajectoryVersion, format,
                     version);
  }
}

}  // namespace

void PublishManifest(const Trajectory& trajectory) {
  PublishHdf5(trajectory.folder / kManifestName, [&](Hdf5Group& root) {
    root.WriteTextAttribute("format", kTrajectoryFormat);
    root.WriteIntegerAttribute("version", VersionOf(trajectory));
    root.WriteTextAttribute("storage", StorageTypeName(trajectory.storage));
    root.WriteTextAttribute("buffers_regex", trajectory.buffers_regex);
    root.WriteIntegerAttribute("shard_elements", trajectory.shard_elements);
    root.WriteTextAttribute("digest", ManifestDigest(trajectory));
    root.WriteTexts("network", {trajectory.network_json});
    WriteCheckpoints(root.CreateGroup("checkpoints"), trajectory);
    Hdf5Group tensors = root.CreateGroup("tensors");
    WriteTensorList(tensors, trajectory.table.entries());
    WriteCarried(root.CreateGroup("carried"), trajectory.carried);
    WriteShards(root.CreateGroup("shards"), trajectory.shards);
    if (trajectory.lora) WriteLora(root.CreateGroup("lora"), *trajectory.lora);
  });
}

Trajectory ReadTrajectory(const fs::path& folder) {
  const fs::path path = folder / kManifestName;
  if (!fs::exists(path)) {
    throw InputError("{}: expected a trajectory, found no {} in it; make one with `lcsc pack`", folder.string(),
                     kManifestName);
  }
  const Hdf5Group root = Hdf5Group::OpenFile(path);
  CheckVersion(root);
  Trajectory trajectory;
  trajectory.folder = folder;
  const auto network = root.ReadTexts("network");
  if (network.size() != 1 || !IsShallowJson(network[0])) RefuseManifest(path, "its network is no JSON");
  trajectory.network_json = network[0];
  trajectory.buffers_regex = root.ReadTextAttribute("buffers_regex");
  trajectory.storage = ParseOrRefuse(path, [&] { return StorageTypeFromName(root.ReadTextAttribute("storage")); });
  trajectory.shard_elements = root.ReadIntegerAttribute("shard_elements");
  ReadCheckpoints(root.OpenGroup("checkpoints"), trajectory);
  trajectory.table = TensorTable(ReadTensorList(root.OpenGroup("tensors")));
  trajectory.carried = ReadCarried(root.OpenGroup("carried"));
  trajectory.shards = ReadShards(root.OpenGroup("shards"));
  if (root.ReadIntegerAttribute("version") == kLoraTrajectoryVersion) {
    trajectory.lora = ReadLora(root.OpenGroup("lora"), trajectory.table);
  }
  const std::string expected = root.ReadTextAttribute("digest"), found = DigestOrRefuse(trajectory, path);
  if (found != expected) RefuseManifest(path, fmt::format("expected digest {}, found {}", expected, found));
  CheckTrajectory(trajectory, path);
  return trajectory;
}

}  // namespace lcsc
