#include "manifest_check.h"

#include <algorithm>
#include <tuple>

#include "lcsc/base/error.h"

namespace lcsc {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr int kMostLevels = 64;

// The product of the sizes, an empty one counted as one; nullopt beyond kMostElements.
std::optional<std::int64_t> BoundedProduct(const json& shape) {
  std::int64_t product = 1;
  for (const json& size : shape) {
    if (!size.is_number_unsigned() || size.get<std::uint64_t>() > static_cast<std::uint64_t>(kMostElements)) {
      return std::nullopt;
    }
    if (__builtin_mul_overflow(product, std::max<std::int64_t>(size.get<std::int64_t>(), 1), &product)) {
      return std::nullopt;
    }
  }
  return product <= kMostElements ? std::optional(product) : std::nullopt;
}

void CheckTable(const TensorTable& table, const fs::path& manifest) {
  const auto twice = std::ranges::adjacent_find(table.entries(), {}, &TensorEntry::name);
  if (twice != table.entries().end())
    RefuseManifest(manifest, fmt::format("tensor \"{}\" is there twice", twice->name));
}

void CheckSteps(const std::vector<std::int64_t>& steps, const fs::path& manifest) {
  if (steps.empty()) RefuseManifest(manifest, "no checkpoints");
  const auto descent = std::ranges::adjacent_find(steps, std::ranges::greater_equal());
  if (descent != steps.end()) RefuseManifest(manifest, fmt::format("step {} before {}", descent[0], descent[1]));
}

// Segments of checkpoints one behind the other, the parameter ranges of each likewise.
void CheckTiles(const Trajectory& trajectory, const fs::path& manifest) {
  std::vector<const ShardFile*> shards;
  for (const ShardFile& shard : trajectory.shards) shards.push_back(&shard);
  std::ranges::sort(
      shards, {}, [](const ShardFile* shard) { return std::tuple(shard->checkpoints.begin, shard->parameters.begin); });
  const auto refuse = [&](const ShardFile& shard) {
    RefuseManifest(manifest,
                   fmt::format("{} holds parameters [{}, {}) of checkpoints [{}, {}): they overlap others, leave "
                               "a gap, or are not in the trajectory",
                               shard.name, shard.parameters.begin, shard.parameters.end, shard.checkpoints.begin,
                               shard.checkpoints.end));
  };
  std::int64_t next_checkpoint = 0;
  for (auto next = shards.begin(); next != shards.end();) {
    const CheckpointRange segment = (*next)->checkpoints;
    if (segment.begin != next_checkpoint || segment.end <= segment.begin) refuse(**next);
    std::int64_t next_parameter = 0;
    for (; next != shards.end() && (*next)->checkpoints == segment; ++next) {
      const ParameterRange range = (*next)->parameters;
      if (range.begin != next_parameter || range.end <= range.begin) refuse(**next);
      next_parameter = range.end;
    }
    if (next_parameter != trajectory.table.num_elements()) refuse(**std::prev(next));
    next_checkpoint = segment.end;
  }
  if (next_checkpoint != trajectory.num_checkpoints()) {
    RefuseManifest(manifest, fmt::format("shard files of {} checkpoints for {} steps", next_checkpoint,
                                         trajectory.num_checkpoints()));
  }
}

// REQUIRES: the tiles are right.
void CheckFile(const Trajectory& trajectory, const ShardFile& shard, const fs::path& manifest) {
  if (shard.name.empty() || fs::path(shard.name).filename() != shard.name) {
    RefuseManifest(manifest, fmt::format("\"{}\" is no name of a file in its folder", shard.name));
  }
  const fs::path path = trajectory.folder / shard.name;
  if (!fs::is_regular_file(path)) {
    throw InputError("{}: expected the file {} that the manifest names, found none; copy the whole trajectory again",
                     trajectory.folder.string(), shard.name);
  }
  const std::uintmax_t row = c10::elementSize(ScalarTypeOf(trajectory.storage));
  const std::uintmax_t base = shard.checkpoints.begin == 0 ? sizeof(float) : 0;
  const std::uintmax_t bytes_each = base + static_cast<std::uintmax_t>(shard.num_rows()) * row;
  const std::uintmax_t bytes = fs::file_size(path);
  if (bytes / bytes_each < static_cast<std::uintmax_t>(shard.parameters.size())) {
    throw InputError(
        "{}: expected {} bytes for each of {} parameters, found {} in all; copy the whole trajectory again",
        path.string(), bytes_each, shard.parameters.size(), bytes);
  }
}

}  // namespace

void RefuseManifest(const fs::path& manifest, const std::string& reason) {
  throw InputError("{}: the manifest is damaged: {}; copy the trajectory or pack it again", manifest.string(), reason);
}

std::vector<std::int64_t> ParseShape(const fs::path& manifest, const std::string& tensor, const std::string& text) {
  const json shape = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!shape.is_array() || !BoundedProduct(shape)) {
    RefuseManifest(manifest, fmt::format("tensor \"{}\" has the shape {}", tensor, text));
  }
  return shape.get<std::vector<std::int64_t>>();
}

bool IsShallowJson(const std::string& text) {
  bool is_shallow = true;
  const auto note_depth = [&](int depth, json::parse_event_t, json&) {
    is_shallow = is_shallow && depth <= kMostLevels;
    return is_shallow;  // what is deeper is not kept
  };
  return !json::parse(text, note_depth, /*allow_exceptions=*/false).is_discarded() && is_shallow;
}

void CheckTrajectory(const Trajectory& trajectory, const fs::path& manifest) {
  CheckTable(trajectory.table, manifest);
  CheckSteps(trajectory.steps, manifest);
  if (trajectory.shard_elements <= 0) {
    RefuseManifest(manifest, fmt::format("{} parameters in a shard file", trajectory.shard_elements));
  }
  CheckTiles(trajectory, manifest);
  for (const ShardFile& shard : trajectory.shards) CheckFile(trajectory, shard, manifest);
}

}  // namespace lcsc
