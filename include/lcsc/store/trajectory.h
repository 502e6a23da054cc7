// A trajectory: the K checkpoints of one training run, ordered by step, as a base (the first checkpoint) and deltas to
// it. Format: docs/trajectory.md. Indices of checkpoints count from 0 here; the paper's theta_1 is checkpoint 0.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lcsc/io/safetensors.h"
#include "lcsc/io/tensor_table.h"
#include "lcsc/store/lora.h"

namespace lcsc {

// How deltas are stored. The base is always float32.
enum class StorageType { kFloat32, kFloat16, kBFloat16 };

// "f32", "f16", "bf16".
const char* StorageTypeName(StorageType type);
// Throws ConfigError for another name.
StorageType StorageTypeFromName(const std::string& name);
at::ScalarType ScalarTypeOf(StorageType type);

// Elements [begin, end) of the flat vector theta.
struct ParameterRange {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
  bool operator==(const ParameterRange&) const = default;
};

// Checkpoints [begin, end).
struct CheckpointRange {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
  bool operator==(const CheckpointRange&) const = default;
};

// One immutable file: a contiguous parameter range of a contiguous range of checkpoints.
struct ShardFile {
  std::string name;  // in the trajectory's folder
  ParameterRange parameters;
  CheckpointRange checkpoints;
  std::string base_digest;               // "" unless checkpoints.begin is 0
  std::vector<std::string> row_digests;  // one per row of `deltas`

  // The first checkpoint that has a row: checkpoint 0 is the base.
  std::int64_t first_row_checkpoint() const { return checkpoints.begin == 0 ? 1 : checkpoints.begin; }
  std::int64_t num_rows() const { return checkpoints.end - first_row_checkpoint(); }
};

// The file that a checkpoint came from.
struct CheckpointSource {
  std::string file_name;
  std::string digest;
};

// What manifest.h5 says.
struct Trajectory {
  std::filesystem::path folder;
  std::string network_json;
  std::string buffers_regex;  // tensors that are carried although they are floating-point
  StorageType storage = StorageType::kFloat32;
  std::int64_t shard_elements = 0;        // parameters per shard file
  std::vector<std::int64_t> steps;        // ascending, K of them
  std::vector<CheckpointSource> sources;  // K of them
  TensorTable table;                      // the merged tensors, with the dtype that the checkpoints had
  NamedTensors carried;                   // integer tensors and running buffers of the last checkpoint
  std::vector<ShardFile> shards;
  // Set when the checkpoints hold LoRA factors: then `table` has the factors, `carried` their alphas.
  std::optional<LoraDescription> lora;

  std::int64_t num_checkpoints() const { return static_cast<std::int64_t>(steps.size()); }

  // What influences scores: network, steps, tensors, storage, the content of base, deltas and carried tensors, a LoRA's
  // base model and scales. Packing
  // at once and packing by parts agree; another shard_elements gives another digest.
  nlohmann::json Content() const;
  // Names Content(): two trajectories of one digest give the same scores.
  std::string Digest() const;
};

// Reads and validates the manifest; touches no shard file but to see that it is there. Throws InputError (no
// trajectory, unknown version, damaged manifest, missing shard file).
Trajectory ReadTrajectory(const std::filesystem::path& folder);

// Reads every shard file and compares every digest. Throws InputError that names file, step and dataset.
void VerifyTrajectory(const std::filesystem::path& folder);

}  // namespace lcsc
