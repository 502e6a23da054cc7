#include "lora_factors.h"

#include <algorithm>
#include <numeric>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

const TensorEntry& EntryOf(const Trajectory& trajectory, const std::string& factor) {
  const auto& entries = trajectory.table.entries();
  const auto entry = std::ranges::lower_bound(entries, factor, {}, &TensorEntry::name);
  LCSC_CHECK(entry != entries.end() && entry->name == factor);
  return *entry;
}

// What the layers need of the flat vector of factors, as few ranges as possible.
std::vector<ParameterRange> RangesOf(const Trajectory& trajectory, const LayerRange& layers) {
  std::vector<ParameterRange> ranges;
  for (std::size_t i = layers.begin; i < layers.end; ++i) {
    const LoraLayer& layer = trajectory.lora->layers[i];
    for (const std::string& factor : {layer.down, layer.up}) {
      const TensorEntry& entry = EntryOf(trajectory, factor);
      ranges.push_back({entry.offset, entry.offset + entry.num_elements()});
    }
  }
  std::ranges::sort(ranges, {}, &ParameterRange::begin);
  std::vector<ParameterRange> joined;
  for (const ParameterRange& range : ranges) {
    if (!joined.empty() && joined.back().end == range.begin) {
      joined.back().end = range.end;
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

// a_1 ... a_K with a_1 as the others imply it.
std::vector<double> Completed(std::span<const double> coefficients) {
  std::vector<double> all(coefficients.begin(), coefficients.end());
  all[0] = 1 - std::accumulate(all.begin() + 1, all.end(), 0.0);
  return all;
}

}  // namespace

LoraFactors::LoraFactors(const Trajectory& trajectory, const LayerRange& layers) : trajectory_(trajectory) {
  for (const ParameterRange& range : RangesOf(trajectory, layers)) shards_.push_back(ReadShard(trajectory, range));
}

at::Tensor LoraFactors::RowsOf(const std::string& factor, const std::vector<std::int64_t>& checkpoints) const {
  const TensorEntry& entry = EntryOf(trajectory_, factor);
  const std::int64_t size = entry.num_elements();
  const auto behind =
      std::ranges::upper_bound(shards_, entry.offset, {}, [](const Shard& shard) { return shard.range.begin; });
  LCSC_CHECK(behind != shards_.begin());
  const Shard& shard = *std::prev(behind);
  const std::int64_t column = entry.offset - shard.range.begin;
  const at::Tensor base = shard.base.narrow(0, column, size);
  const at::Tensor rows = at::empty({static_cast<std::int64_t>(checkpoints.size()), size}, at::kFloat);
  for (std::size_t i = 0; i < checkpoints.size(); ++i) {
    at::Tensor row = rows[static_cast<std::int64_t>(i)];
    row.copy_(base);
    if (checkpoints[i] > 0) row.add_(shard.deltas[checkpoints[i] - 1].narrow(0, column, size).to(at::kFloat));
  }
  return rows;
}

LoraProduct LoraFactors::ProductOf(std::size_t layer_index, std::span<const double> coefficients) const {
  LCSC_CHECK(static_cast<std::int64_t>(coefficients.size()) == trajectory_.num_checkpoints());
  const LoraLayer& layer = trajectory_.lora->layers.at(layer_index);
  const std::vector<double> all = Completed(coefficients);
  std::vector<std::int64_t> chosen;
  std::vector<float> scales;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] == 0) continue;
    chosen.push_back(static_cast<std::int64_t>(i));
    scales.push_back(static_cast<float>(all[i] * layer.scale));
  }
  const auto count = static_cast<std::int64_t>(chosen.size()), n = count * layer.rank;
  const at::Tensor up = RowsOf(layer.up, chosen).view({count, layer.num_rows(), layer.rank});
  const at::Tensor scaled = up * at::tensor(scales).view({count, 1, 1});
  return {scaled.permute({1, 0, 2}).reshape({layer.num_rows(), n}),
          RowsOf(layer.down, chosen).view({n, layer.num_columns()})};
}

std::vector<LayerRange> LayerBlocks(const Trajectory& trajectory) {
  constexpr std::int64_t kBlockElements = 64 << 20;
  std::vector<LayerRange> blocks;
  std::int64_t elements = 0;
  for (std::size_t i = 0; i < trajectory.lora->layers.size(); ++i) {
    const LoraLayer& layer = trajectory.lora->layers[i];
    const std::int64_t size = trajectory.num_checkpoints() * layer.rank * (layer.num_rows() + layer.num_columns());
    if (blocks.empty() || elements + size > kBlockElements) {
      blocks.push_back({i, i});
      elements = 0;
    }
    blocks.back().end = i + 1;
    elements += size;
  }
  return blocks;
}

}  // namespace lcsc
