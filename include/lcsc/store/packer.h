// Checkpoints -> trajectory, in bounded memory: one checkpoint at a time beside the base, on each rank.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lcsc/io/tensor_file.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {

struct PackOptions {
  std::string checkpoints;                      // glob of .safetensors or torch.save files, "ckpt/*.pt"
  std::string key;                              // the dict of tensors in nested torch.save files: "ema"
  std::filesystem::path output;                 // folder; made, or appended to
  StorageType storage = StorageType::kFloat32;  // of the deltas: 2 bytes a parameter and checkpoint for f16 and bf16
  std::int64_t shard_elements = std::int64_t{1} << 28;  // parameters per shard file: 1 GiB a row in float32
  std::int64_t segment_checkpoints = 8;                 // checkpoints per shard file: what a killed packer does again
  std::string buffers_regex = R"((^|\.)(running_mean|running_var)$)";  // floating-point tensors that are not merged
  std::optional<std::filesystem::path> network;  // JSON file; default: `__metadata__.config` of the first checkpoint
  // For LoRA checkpoints (docs/lora.md): the weights of the network that the factors change, and alpha of all factors
  // where the checkpoints do not say it.
  std::optional<std::filesystem::path> base_model;
  std::string base_model_key;  // the dict of tensors in a nested torch.save file
  std::optional<double> lora_alpha;
  // Called by rank 0 before anything is written, with the network and a file of weights that should fit it: the first
  // checkpoint, or the base model of LoRA checkpoints. What it throws ends the packing.
  std::function<void(const nlohmann::json& network, const TensorFile& weights)> check_network;
};

struct PackReport {
  std::int64_t num_packed = 0;   // by this call
  std::int64_t num_skipped = 0;  // already in the trajectory, unchanged
  bool interrupted = false;      // a stop signal came before the last checkpoint
  // Of this call, on all ranks: merged tensors in the checkpoints' own types, shard files, from the first read on.
  std::int64_t bytes_read = 0, bytes_written = 0;
  double seconds = 0;
  Trajectory trajectory;  // as it is now
};

// The ranks that pack together: each writes its share of the shard files. By default one rank alone. Whatever the
// number of ranks, the trajectory has the same digest.
struct PackTeam {
  int world_rank = 0;
  int world_size = 1;
  // Collective. Runs the work on every rank and returns when all have ended it; when it throws on one, throws on all.
  std::function<void(const std::function<void()>& work)> agree = [](const auto& work) { work(); };
  // Collective. Every rank's text, by rank, on every rank.
  std::function<std::vector<std::string>(const std::string& text)> gather = [](const std::string& text) {
    return std::vector<std::string>{text};
  };
};

// Packs the checkpoints, ordered by the step in the file or else the last integer of the file's stem, into `output`.
// A trajectory that is there is appended to: checkpoints that it has are recognised by their content and skipped. A
// killed packer leaves the segments that it finished; calling again goes on behind them. Stops between two segments
// when a stop signal came on any rank (base/stop_signal.h). Shows a progress bar.
// Validates every header before it writes anything. Throws InputError that names file and tensor: fewer than two
// checkpoints, no or equal steps, a step before the last packed one, a changed checkpoint, tensors that differ in name,
// shape or type, LoRA factors without a base model that they fit, NaN or infinity, a float16 overflow, another network
// or storage type than the trajectory's.
// Collective over the team: every rank calls it with the same options; rank 0 alone publishes the manifest.
PackReport Pack(const PackOptions& options, const PackTeam& team = {});

}  // namespace lcsc
