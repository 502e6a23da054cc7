#include "lcsc/merge/weight_merger.h"

#include <algorithm>

#include "device_merger.h"
#include "lcsc/base/error.h"
#include "lcsc/merge/merger.h"
#include "lora_merger.h"
#include "project_rows.h"
#include "streaming_merger.h"

namespace lcsc {
namespace {

constexpr std::int64_t kMinStreamedColumns = 4096;
constexpr int kMaxGroupSize = 1024;

// Of full weights: every rank has a range of the same length.
std::vector<ParameterRange> EqualParts(std::int64_t total, int group_size) {
  std::vector<ParameterRange> parts;
  for (std::int64_t begin = 0, i = 0; i < group_size; ++i) {
    const std::int64_t end = begin + total / group_size + (i < total % group_size ? 1 : 0);
    parts.push_back({begin, end});
    begin = end;
  }
  return parts;
}

// Of all checkpoints: one parameter's base and deltas.
std::int64_t BytesPerParameter(const Trajectory& trajectory) {
  return 4 + (trajectory.num_checkpoints() - 1) *
                 static_cast<std::int64_t>(c10::elementSize(ScalarTypeOf(trajectory.storage)));
}

// Parameters of a block when two of them fill the budget, less a sixteenth for the file library.
std::int64_t BlockColumns(const Trajectory& trajectory, std::int64_t range_size, std::int64_t budget_bytes) {
  const std::int64_t fitting = (budget_bytes - budget_bytes / 16) / (2 * BytesPerParameter(trajectory));
  return std::min(fitting / 64 * 64, range_size);
}

// The same on every rank of a group: that of the longest part.
MergeMemory FullMemoryOf(const Trajectory& trajectory, int group_size, const MergeOptions& options) {
  const ParameterRange range = EqualParts(trajectory.table.num_elements(), group_size).front();
  const std::int64_t per_parameter = BytesPerParameter(trajectory), all_bytes = range.size() * per_parameter;
  if (!options.budget_bytes || all_bytes <= *options.budget_bytes) return {.held_bytes = all_bytes};
  const std::int64_t block_columns = BlockColumns(trajectory, range.size(), *options.budget_bytes);
  if (block_columns < std::min(kMinStreamedColumns, range.size())) {
    throw ConfigError(
        "memory budget: merging {} checkpoints in {} needs at least {} bytes even when they are streamed, found {}; "
        "give more",
        trajectory.num_checkpoints(), StorageTypeName(trajectory.storage),
        std::min(all_bytes, (2 * kMinStreamedColumns * per_parameter * 16 + 14) / 15), *options.budget_bytes);
  }
  return {.is_streamed = true, .held_bytes = 2 * block_columns * per_parameter, .streamed_bytes = all_bytes};
}

// The largest need of any rank of a group.
std::int64_t LargestLoraShare(const Trajectory& trajectory, int group_size) {
  std::int64_t largest = 0;
  for (const LayerRange& share : ShareOutLayers(*trajectory.lora, group_size)) {
    const MergeMemory memory = LoraMemoryOf(trajectory, share);
    largest = std::max(largest, memory.held_bytes + memory.scratch_bytes);
  }
  return largest;
}

[[noreturn]] void RefuseLora(const Trajectory& trajectory, const GroupPlace& place, std::int64_t budget_bytes) {
  std::string advice = "give more; a larger group does not help, for a layer is not divided";
  for (int size = place.group_size + 1; size <= kMaxGroupSize; ++size) {
    if (LargestLoraShare(trajectory, size) > budget_bytes) continue;
    advice = fmt::format("give more, or use a group size of {}", size);
    break;
  }
  throw ConfigError(
      "memory budget: merging these LoRA checkpoints in groups of {} needs {} bytes on a rank, found {}; LoRA factors "
      "are not streamed, {}",
      place.group_size, LargestLoraShare(trajectory, place.group_size), budget_bytes, advice);
}

// Full checkpoints in memory, or streamed.
class FullMerger : public WeightMerger {
 public:
  FullMerger(const Trajectory& trajectory, const GroupPlace& place, const MergeOptions& options)
      : carried_(trajectory.carried) {
    table_ = trajectory.table;
    parts_ = EqualParts(table_.num_elements(), place.group_size);
    own_ = parts_.at(static_cast<std::size_t>(place.group_rank));
    if (FullMemoryOf(trajectory, place.group_size, options).is_streamed) {
      streaming_ = std::make_unique<StreamingMerger>(
          trajectory, own_, BlockColumns(trajectory, parts_.front().size(), *options.budget_bytes));
    } else if (options.cuda_device) {
      device_ = MakeDeviceMerger(ReadShard(trajectory, own_), {.device = *options.cuda_device});
    } else {
      resident_ = std::make_unique<Merger>(ReadShard(trajectory, own_));
    }
  }

  NamedTensors ReadCarried() const override { return carried_; }

  void MergeBatch(std::span<const std::span<const double>> coefficients,
                  std::span<const std::span<float>> wholes) const override {
    std::vector<std::span<float>> own_parts;
    for (const std::span<float> whole : wholes) {
      LCSC_CHECK(static_cast<std::int64_t>(whole.size()) == table_.num_elements());
      own_parts.push_back(whole.subspan(static_cast<std::size_t>(own_.begin), static_cast<std::size_t>(own_.size())));
    }
    if (streaming_) {
      streaming_->MergeBatch(coefficients, own_parts);
    } else if (device_) {
      device_->MergeBatch(coefficients, own_parts);
    } else {
      resident_->MergeBatch(coefficients, own_parts);
    }
  }

  std::vector<double> Project(std::span<const double> weight_gradient) const override {
    LCSC_CHECK(static_cast<std::int64_t>(weight_gradient.size()) == table_.num_elements());
    const auto own =
        weight_gradient.subspan(static_cast<std::size_t>(own_.begin), static_cast<std::size_t>(own_.size()));
    if (streaming_) return streaming_->Project(own);
    if (device_) throw ConfigError("run.merge: derivatives are projected on the CPU; choose cpu with this strategy");
    std::vector<double> sums(static_cast<std::size_t>(resident_->num_checkpoints()));
    ProjectRows(resident_->shard(), own, sums);
    return sums;
  }

 private:
  NamedTensors carried_;
  ParameterRange own_;
  std::unique_ptr<Merger> resident_;  // one of the three is there
  std::unique_ptr<DeviceMerger> device_;
  std::unique_ptr<StreamingMerger> streaming_;
};

}  // namespace

MergeMemory MergeMemoryOf(const Trajectory& trajectory, const GroupPlace& place, const MergeOptions& options) {
  if (!trajectory.lora) return FullMemoryOf(trajectory, place.group_size, options);
  // Refused on every rank of the group or on none.
  if (options.budget_bytes && LargestLoraShare(trajectory, place.group_size) > *options.budget_bytes) {
    RefuseLora(trajectory, place, *options.budget_bytes);
  }
  const std::vector<LayerRange> shares = ShareOutLayers(*trajectory.lora, place.group_size);
  return LoraMemoryOf(trajectory, shares.at(static_cast<std::size_t>(place.group_rank)));
}

std::unique_ptr<WeightMerger> MakeWeightMerger(const Trajectory& trajectory, const GroupPlace& place,
                                               const MergeOptions& options) {
  MergeMemoryOf(trajectory, place, options);  // refuses what does not fit
  if (trajectory.lora) return std::make_unique<LoraMerger>(trajectory, place);
  return std::make_unique<FullMerger>(trajectory, place, options);
}

}  // namespace lcsc
