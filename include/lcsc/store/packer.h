// Checkpoints -> trajectory, in bounded memory: one checkpoint at a time beside the base.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "lcsc/store/trajectory.h"

namespace lcsc {

struct PackOptions {
  std::string checkpoints;                      // glob of .safetensors files, "ckpt/*.safetensors"
  std::filesystem::path output;                 // folder; made, or appended to
  StorageType storage = StorageType::kFloat32;  // of the deltas: 2 bytes a parameter and checkpoint for f16 and bf16
  std::int64_t shard_elements = std::int64_t{1} << 28;  // parameters per shard file: 1 GiB a row in float32
  std::int64_t segment_checkpoints = 8;                 // checkpoints per shard file: what a killed packer does again
  std::string buffers_regex = R"((^|\.)(running_mean|running_var)$)";  // floating-point tensors that are not merged
  std::optional<std::filesystem::path> network;  // JSON file; default: `__metadata__.config` of the first checkpoint
};

struct PackReport {
  std::int64_t num_packed = 0;   // by this call
  std::int64_t num_skipped = 0;  // already in the trajectory, unchanged
  Trajectory trajectory;         // as it is now
};

// Packs the checkpoints, ordered by `__metadata__.step` or else the last integer of the file's stem, into `output`.
// A trajectory that is there is appended to: checkpoints that it has are recognised by their content and skipped. A
// killed packer leaves the segments that it finished; calling again goes on behind them. Stops between two segments
// when a stop signal came (base/stop_signal.h). Shows a progress bar.
// Validates every header before it writes anything. Throws InputError that names file and tensor: fewer than two
// checkpoints, no or equal steps, a step before the last packed one, a changed checkpoint, tensors that differ in name,
// shape or type, NaN or infinity, a float16 overflow, another network or storage type than the trajectory's.
PackReport Pack(const PackOptions& options);

}  // namespace lcsc
