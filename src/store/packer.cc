#include "lcsc/store/packer.h"

#include <algorithm>
#include <chrono>
#include <fstream>

#include "checkpoint.h"
#include "lcsc/base/atomic_file.h"
#include "lcsc/base/error.h"
#include "lcsc/base/stop_signal.h"
#include "lora_layers.h"
#include "manifest.h"
#include "segment_packer.h"

namespace lcsc {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* kConfigKey = "config";

void CheckOptions(const PackOptions& options) {
  if (options.shard_elements < 1) throw ConfigError("shard_elements: expected >= 1, found {}", options.shard_elements);
  if (options.segment_checkpoints < 2) {
    throw ConfigError("segment_checkpoints: expected >= 2, found {}", options.segment_checkpoints);
  }
}

// The folder must be absent, or hold nothing but a trajectory or what a killed packer left.
void CheckOutput(const fs::path& output) {
  if (!fs::exists(output)) return;
  if (!fs::is_directory(output))
    throw InputError("{}: expected a folder, found a file; choose another", output.string());
  for (const auto& entry : fs::directory_iterator(output)) {
    const std::string name = entry.path().filename().string();
    if (!IsPackersFile(name)) {
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
    const auto config = checkpoint.file->metadata().find(kConfigKey);
    if (options.network || config == checkpoint.file->metadata().end()) continue;
    const std::string where = fmt::format("{}: __metadata__.{}", checkpoint.file->path().string(), kConfigKey);
    const json found = ParseNetwork(config->second, where);
    if (network.is_null()) network = found;
    if (found != network)
      throw InputError("{}: expected the network {}, found {}", where, network.dump(), found.dump());
  }
  if (network.is_null() && packed.lora) {
    const auto base_model = OpenBaseModel(*packed.lora, packed.folder);
    const auto config = base_model->metadata().find(kConfigKey);
    const std::string where = fmt::format("{}: __metadata__.{}", base_model->path().string(), kConfigKey);
    if (config != base_model->metadata().end()) network = ParseNetwork(config->second, where);
  }
  if (network.is_null()) {
    throw InputError("{}: expected the network as JSON in __metadata__.{}, found none; give it with --network FILE",
                     checkpoints.front().file->path().string(), kConfigKey);
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

// Removes the checkpoints that the trajectory has, once their content proves to be the same. The team's ranks share the
// proof.
std::int64_t SkipPacked(const Trajectory& packed, const PackTeam& team, std::vector<Checkpoint>& checkpoints) {
  std::size_t index = 0;
  return static_cast<std::int64_t>(std::erase_if(checkpoints, [&](const Checkpoint& checkpoint) {
    if (packed.steps.empty() || checkpoint.step > packed.steps.back()) return false;
    const std::string path = checkpoint.file->path().string();
    const auto step = std::ranges::find(packed.steps, checkpoint.step);
    if (step == packed.steps.end()) {
      throw InputError("{}: expected a step after {}, the last in {}, found {}; pack all into a new folder", path,
                       packed.steps.back(), packed.folder.string(), checkpoint.step);
    }
    if (index++ % static_cast<std::size_t>(team.world_size) != static_cast<std::size_t>(team.world_rank)) return true;
    const CheckpointSource& source = packed.sources[static_cast<std::size_t>(step - packed.steps.begin())];
    const std::string digest = SourceDigest(checkpoint);
    if (digest != source.digest) {
      throw InputError(
          "{}: step {} was packed from {} with digest {}, found {}: the checkpoint or the key changed; pack all into a "
          "new folder",
          path, checkpoint.step, source.file_name, source.digest, digest);
    }
    return true;
  }));
}

void CheckNetwork(const PackOptions& options, const Trajectory& trajectory,
                  const std::vector<Checkpoint>& checkpoints) {
  if (!options.check_network) return;
  const json network = json::parse(trajectory.network_json);
  if (trajectory.lora) {
    options.check_network(network, *OpenBaseModel(*trajectory.lora, trajectory.folder));
  } else {
    options.check_network(network, *checkpoints.front().file);
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
  const TensorFile& first = *checkpoints.front().file;
  const ExpectedTensors expected =
      packed.steps.empty() ? ExpectedTensors{first.entries(), first.path().string()} : TensorsOf(packed);
  for (const Checkpoint& checkpoint : checkpoints) CheckSameTensors(expected, *checkpoint.file);
  TensorSplit split = packed.lora ? SplitLoraTensors(expected.entries, *packed.lora)
                                  : SplitTensors(expected.entries, packed.buffers_regex);
  if (split.merged.num_elements() == 0) {
    throw InputError("{}: expected floating-point tensors to merge, found none", expected.source);
  }
  return split;
}

// Collective: signals reach the ranks at different moments.
bool StopRequestedOnAny(const PackTeam& team) {
  const std::vector<std::string> answers = team.gather(StopRequested() ? "stop" : "");
  return std::ranges::count(answers, "stop") > 0;
}

}  // namespace

PackReport Pack(const PackOptions& options, const PackTeam& team) {
  std::vector<Checkpoint> checkpoints;
  TensorSplit split;
  PackReport report;
  Trajectory& trajectory = report.trajectory;
  team.agree([&] {
    CheckOptions(options);
    CheckOutput(options.output);
    checkpoints = FindCheckpoints(options.checkpoints, {options.key});
    trajectory = OpenOrStart(options);
    trajectory.lora =
        DescribeLora({options.base_model, options.base_model_key, options.lora_alpha}, trajectory, checkpoints);
    trajectory.network_json = NetworkOf(options, trajectory, checkpoints).dump();
    split = CheckTensors(trajectory, checkpoints);
    trajectory.table = split.merged;
    if (team.world_rank == 0) CheckNetwork(options, trajectory, checkpoints);
    report.num_skipped = SkipPacked(trajectory, team, checkpoints);
    if (trajectory.num_checkpoints() + static_cast<std::int64_t>(checkpoints.size()) < 2) {
      throw InputError("checkpoints: expected at least 2 files, found {} for \"{}\"", checkpoints.size(),
                       options.checkpoints);
    }
  });
  // Only now: no rank looks into the folder any more while rank 0 tidies it.
  team.agree([&] {
    if (team.world_rank != 0) return;
    CreateFolder(options.output);
    RemoveLeftovers(trajectory);
  });
  if (checkpoints.empty()) return report;
  const auto start = std::chrono::steady_clock::now();
  SegmentPacker packer(trajectory, {checkpoints, split.carried, options.segment_checkpoints}, team);
  while (packer.NextRound() > 0 && !StopRequestedOnAny(team)) packer.PackRound();
  report.num_packed = packer.num_packed();
  report.interrupted = packer.NextRound() > 0;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const ParameterRange all{0, trajectory.table.num_elements()};
  report.bytes_read = FileBytes(trajectory.table, all) * report.num_packed;
  for (const ShardFile& shard : trajectory.shards) {
    if (shard.checkpoints.begin < trajectory.num_checkpoints() - report.num_packed) continue;
    report.bytes_written += static_cast<std::int64_t>(fs::file_size(trajectory.folder / shard.name));
  }
  return report;
}

}  // namespace lcsc
