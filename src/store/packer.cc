#include "lcsc/store/packer.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <regex>
#include <span>

#include "checkpoint.h"
#include "lcsc/base/atomic_file.h"
#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/stop_signal.h"
#include "manifest.h"
#include "shard_file.h"

namespace lcsc {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* kConfigKey = "config";
constexpr const char* kShardFormat = "lcsc trajectory shard";

void CheckOptions(const PackOptions& options) {
  if (options.shard_elements < 1) throw ConfigError("shard_elements: expected >= 1, found {}", options.shard_elements);
  if (options.segment_checkpoints < 2) {
    throw ConfigError("segment_checkpoints: expected >= 2, found {}", options.segment_checkpoints);
  }
}

// The names that this packer gives, finished or not; never a user's own file.
bool IsOurs(const std::string& name) {
  static const std::regex ours(R"((shard-\d{5,}\.h5|manifest\.h5)(\.tmp-\d+)?)");
  return std::regex_match(name, ours);
}

// The folder must be absent, or hold nothing but a trajectory or what a killed packer left.
void CheckOutput(const fs::path& output) {
  if (!fs::exists(output)) return;
  if (!fs::is_directory(output))
    throw InputError("{}: expected a folder, found a file; choose another", output.string());
  for (const auto& entry : fs::directory_iterator(output)) {
    const std::string name = entry.path().filename().string();
    if (!IsOurs(name)) {
      throw InputError("{}: expected a trajectory or an empty folder, found {} in it; choose another", output.string(),
                       name);
    }
  }
}

json ParseNetwork(const std::string& text, const std::string& where) {
  json network = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!network.is_object()) throw InputError("{}: expected the network as a JSON object, found {:.80}", where, text);
  return network;
}

json ReadNetworkFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError("cannot read {}; expected the network's JSON, check the path", path.string());
  return ParseNetwork({std::istreambuf_iterator<char>(file), {}}, path.string());
}

// The network that all checkpoints belong to: the option's, the trajectory's or the first checkpoint's.
json NetworkOf(const PackOptions& options, const Trajectory& packed, const std::vector<Checkpoint>& checkpoints) {
  json network;
  if (options.network) {
    network = ReadNetworkFile(*options.network);
  } else if (!packed.network_json.empty()) {
    network = json::parse(packed.network_json);
  }
  for (const Checkpoint& checkpoint : checkpoints) {
    const auto config = checkpoint.file.metadata().find(kConfigKey);
    if (options.network || config == checkpoint.file.metadata().end()) continue;
    const std::string where = fmt::format("{}: __metadata__.{}", checkpoint.file.path().string(), kConfigKey);
    const json found = ParseNetwork(config->second, where);
    if (network.is_null()) network = found;
    if (found != network)
      throw InputError("{}: expected the network {}, found {}", where, network.dump(), found.dump());
  }
  if (network.is_null()) {
    throw InputError("{}: expected the network as JSON in __metadata__.{}, found none; give it with --network FILE",
                     checkpoints.front().file.path().string(), kConfigKey);
  }
  if (!packed.network_json.empty() && json::parse(packed.network_json) != network) {
    throw InputError("{}: expected the network {}, found {}; pack it into another folder", packed.folder.string(),
                     packed.network_json, network.dump());
  }
  return network;
}

void CheckSameOptions(const Trajectory& packed, const PackOptions& options) {
  if (packed.storage != options.storage) {
    throw InputError("{}: expected storage {} as it was packed with, found {}; give that or choose another folder",
                     packed.folder.string(), StorageTypeName(packed.storage), StorageTypeName(options.storage));
  }
  if (packed.buffers_regex != options.buffers_regex) {
    throw InputError(
        "{}: expected buffers \"{}\" as it was packed with, found \"{}\"; give that or choose another folder",
        packed.folder.string(), packed.buffers_regex, options.buffers_regex);
  }
}

// What the trajectory's checkpoints contain.
ExpectedTensors TensorsOf(const Trajectory& trajectory) {
  ExpectedTensors expected{trajectory.table.entries(), trajectory.folder.string()};
  for (TensorEntry& entry : expected.entries) entry.offset = 0;
  for (const auto& [name, tensor] : trajectory.carried) {
    expected.entries.push_back({.name = name, .type = DataTypeOf(tensor), .shape = tensor.sizes().vec(), .offset = 0});
  }
  std::ranges::sort(expected.entries, {}, &TensorEntry::name);
  return expected;
}

// Removes the checkpoints that the trajectory has, once their content proves to be the same.
std::int64_t SkipPacked(const Trajectory& packed, std::vector<Checkpoint>& checkpoints) {
  return static_cast<std::int64_t>(std::erase_if(checkpoints, [&](const Checkpoint& checkpoint) {
    if (packed.steps.empty() || checkpoint.step > packed.steps.back()) return false;
    const std::string path = checkpoint.file.path().string();
    const auto step = std::ranges::find(packed.steps, checkpoint.step);
    if (step == packed.steps.end()) {
      throw InputError("{}: expected a step after {}, the last in {}, found {}; pack all into a new folder", path,
                       packed.steps.back(), packed.folder.string(), checkpoint.step);
    }
    const CheckpointSource& source = packed.sources[static_cast<std::size_t>(step - packed.steps.begin())];
    const std::string digest = DigestOfFile(checkpoint.file.path());
    if (digest != source.digest) {
      throw InputError(
          "{}: step {} was packed from {} with digest {}, found {}: the checkpoint changed; pack all into a "
          "new folder",
          path, checkpoint.step, source.file_name, source.digest, digest);
    }
    return true;
  }));
}

// The smallest magnitude that becomes infinite in the storage type, by rounding to nearest.
float OverflowLimit(StorageType storage) {
  switch (storage) {
    case StorageType::kFloat16:
      return 65520.0f;
    case StorageType::kBFloat16:
      return 0x1.ffp127f;
    case StorageType::kFloat32:
      return std::numeric_limits<float>::infinity();
  }
  LCSC_CHECK(false);
}

// Deltas of part of a checkpoint, in the storage type.
struct DeltaContext {
  const SafetensorsFile& file;
  const Trajectory& trajectory;
  ParameterRange range;
};
at::Tensor StoredDelta(const at::Tensor& theta, const at::Tensor& base, const DeltaContext& context) {
  const at::Tensor delta = theta - base;
  const std::span<const float> values(delta.data_ptr<float>(), static_cast<std::size_t>(delta.numel()));
  const float limit = OverflowLimit(context.trajectory.storage);
  const auto bad = std::ranges::find_if_not(values, [limit](float value) { return std::abs(value) < limit; });
  if (bad != values.end()) {
    const auto& entries = context.trajectory.table.entries();
    const auto behind =
        std::ranges::upper_bound(entries, context.range.begin + (bad - values.begin()), {}, &TensorEntry::offset);
    throw InputError(
        "{}: tensor \"{}\": its difference {} to the first checkpoint overflows {}; use --storage bf16 or f32",
        context.file.path().string(), std::prev(behind)->name, *bad, StorageTypeName(context.trajectory.storage));
  }
  return delta.to(ScalarTypeOf(context.trajectory.storage));
}

std::string DigestOfBytes(const at::Tensor& tensor) {
  return DigestOf(std::string_view(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()));
}

// Packs segments of checkpoints behind those that the trajectory has.
class SegmentPacker {
 public:
  SegmentPacker(Trajectory& trajectory, const std::vector<TensorEntry>& carried, std::int64_t num_checkpoints)
      : trajectory_(trajectory),
        carried_(carried),
        progress_({.title = "packing", .unit = "rows", .total = num_checkpoints * NumRanges()}) {}

  // Writes the segment's shard files, then publishes the manifest that names them.
  void Pack(std::span<const Checkpoint> segment) {
    const CheckpointRange checkpoints{trajectory_.num_checkpoints(),
                                      trajectory_.num_checkpoints() + static_cast<std::int64_t>(segment.size())};
    Trajectory grown = trajectory_;
    for (std::int64_t i = 0; i < NumRanges(); ++i) {
      const std::int64_t begin = i * trajectory_.shard_elements;
      ShardFile shard{.name = fmt::format("shard-{:05}.h5", grown.shards.size()),
                      .parameters = {begin, std::min(begin + trajectory_.shard_elements, NumParameters())},
                      .checkpoints = checkpoints,
                      .base_digest = "",
                      .row_digests = {}};
      PublishFile(trajectory_.folder / shard.name,
                  [&](const fs::path& temporary) { WriteShard(temporary, segment, shard); });
      grown.shards.push_back(std::move(shard));
    }
    for (const Checkpoint& checkpoint : segment) {
      grown.steps.push_back(checkpoint.step);
      grown.sources.push_back({checkpoint.file.path().filename().string(), DigestOfFile(checkpoint.file.path())});
    }
    grown.carried = ReadCarriedTensors(segment.back().file, carried_);
    PublishManifest(grown);
    trajectory_ = std::move(grown);
  }

 private:
  std::int64_t NumParameters() const { return trajectory_.table.num_elements(); }
  std::int64_t NumRanges() const {
    return (NumParameters() + trajectory_.shard_elements - 1) / trajectory_.shard_elements;
  }

  void WriteShard(const fs::path& path, std::span<const Checkpoint> segment, ShardFile& shard) {
    Hdf5Group root = Hdf5Group::CreateFile(path);
    root.WriteTextAttribute("format", kShardFormat);
    root.WriteIntegerAttribute("version", kTrajectoryVersion);
    const bool is_first = shard.checkpoints.begin == 0;
    const at::Tensor base = is_first ? ReadParameters(segment.front().file, trajectory_.table, shard.parameters)
                                     : PackedBase(shard.parameters);
    const auto columns = static_cast<hsize_t>(shard.parameters.size());
    if (is_first) {
      root.CreateArray(kBaseDataset, Hdf5Element::kFloat32, {shard.parameters.size()});
      root.WriteBlock(kBaseDataset, Hdf5Element::kFloat32, {{0}, {columns}}, base.data_ptr());
      shard.base_digest = DigestOfBytes(base);
      progress_.Update(++rows_done_);
    }
    const Hdf5Element element = ElementOf(trajectory_.storage);
    root.CreateArray(kDeltasDataset, element, {shard.num_rows(), shard.parameters.size()});
    for (const Checkpoint& checkpoint : segment.subspan(is_first ? 1 : 0)) {
      const at::Tensor theta = ReadParameters(checkpoint.file, trajectory_.table, shard.parameters);
      const at::Tensor delta = StoredDelta(theta, base, {checkpoint.file, trajectory_, shard.parameters});
      root.WriteBlock(kDeltasDataset, element, {{shard.row_digests.size(), 0}, {1, columns}}, delta.data_ptr());
      shard.row_digests.push_back(DigestOfBytes(delta));
      progress_.Update(++rows_done_, fmt::format("step {}", checkpoint.step));
    }
    root.Flush();
  }

  at::Tensor PackedBase(ParameterRange range) const {
    const at::Tensor base = at::empty({range.size()}, at::kFloat);
    const auto first = std::ranges::find_if(trajectory_.shards, [&](const ShardFile& shard) {
      return shard.checkpoints.begin == 0 && shard.parameters == range;
    });
    LCSC_CHECK(first != trajectory_.shards.end());
    ShardFileReader(trajectory_, *first).ReadBase(range, Verify::kWholeRows, base.data_ptr<float>());
    return base;
  }

  Trajectory& trajectory_;
  const std::vector<TensorEntry>& carried_;
  Progress progress_;
  std::int64_t rows_done_ = 0;
};

// Files of a packer that was killed before its manifest named them.
void RemoveLeftovers(const Trajectory& trajectory) {
  for (const auto& entry : fs::directory_iterator(trajectory.folder)) {
    const std::string name = entry.path().filename().string();
    const bool is_listed = std::ranges::count(trajectory.shards, name, &ShardFile::name) > 0;
    if (IsOurs(name) && name != kManifestName && !is_listed) fs::remove(entry.path());
  }
}

// The trajectory that is in the folder, or an empty one.
Trajectory OpenOrStart(const PackOptions& options) {
  if (fs::exists(options.output / kManifestName)) {
    Trajectory packed = ReadTrajectory(options.output);
    CheckSameOptions(packed, options);
    return packed;
  }
  Trajectory empty;
  empty.folder = options.output;
  empty.storage = options.storage;
  empty.buffers_regex = options.buffers_regex;
  empty.shard_elements = options.shard_elements;
  return empty;
}

// Compares every checkpoint's header with the trajectory's tensors, or with the first checkpoint's; returns how they
// are split.
TensorSplit CheckTensors(const Trajectory& packed, const std::vector<Checkpoint>& checkpoints) {
  const SafetensorsFile& first = checkpoints.front().file;
  const ExpectedTensors expected =
      packed.steps.empty() ? ExpectedTensors{first.entries(), first.path().string()} : TensorsOf(packed);
  for (const Checkpoint& checkpoint : checkpoints) CheckSameTensors(expected, checkpoint.file);
  TensorSplit split = SplitTensors(expected.entries, packed.buffers_regex);
  if (split.merged.num_elements() == 0) {
    throw InputError("{}: expected floating-point tensors to merge, found none", expected.source);
  }
  return split;
}

}  // namespace

PackReport Pack(const PackOptions& options) {
  CheckOptions(options);
  CheckOutput(options.output);
  std::vector<Checkpoint> checkpoints = FindCheckpoints(options.checkpoints);
  Trajectory trajectory = OpenOrStart(options);
  trajectory.network_json = NetworkOf(options, trajectory, checkpoints).dump();
  const TensorSplit split = CheckTensors(trajectory, checkpoints);
  trajectory.table = split.merged;
  const std::int64_t num_skipped = SkipPacked(trajectory, checkpoints);
  const auto num_new = static_cast<std::int64_t>(checkpoints.size());
  if (trajectory.num_checkpoints() + num_new < 2) {
    throw InputError("checkpoints: expected at least 2 files, found {} for \"{}\"", num_new, options.checkpoints);
  }

  CreateFolder(options.output);
  RemoveLeftovers(trajectory);
  if (num_new == 0) return {0, num_skipped, std::move(trajectory)};
  SegmentPacker packer(trajectory, split.carried, num_new);
  std::int64_t num_packed = 0;
  while (num_packed < num_new && !StopRequested()) {
    const std::int64_t count = std::min(options.segment_checkpoints, num_new - num_packed);
    packer.Pack(std::span<const Checkpoint>(checkpoints)
                    .subspan(static_cast<std::size_t>(num_packed), static_cast<std::size_t>(count)));
    num_packed += count;
  }
  return {num_packed, num_skipped, std::move(trajectory)};
}

}  // namespace lcsc
