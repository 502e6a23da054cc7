#include "lcsc/merge/merged_weights.h"

#include <algorithm>

#include "lcsc/base/error.h"
#include "lcsc/merge/merger.h"
#include "lcsc/store/shard_reader.h"
#include "lora_factors.h"

namespace lcsc {

namespace {

// All tensors of the base model, the targets with their updates.
NamedTensors MergeLora(const Trajectory& trajectory, std::span<const double> coefficients) {
  NamedTensors tensors = OpenBaseModel(*trajectory.lora, trajectory.folder)->ReadAll();
  for (const LayerRange& block : LayerBlocks(trajectory)) {
    const LoraFactors factors(trajectory, block);
    for (std::size_t i = block.begin; i < block.end; ++i) {
      const LoraLayer& layer = trajectory.lora->layers[i];
      at::Tensor& target = tensors.at(layer.target.name);
      const auto [left, right] = factors.ProductOf(i, coefficients);
      const at::Tensor base = target.to(at::kFloat).reshape({layer.num_rows(), layer.num_columns()});
      target = at::addmm(base, left, right).view(layer.target.shape).to(target.scalar_type());
    }
  }
  return tensors;
}

}  // namespace

NamedTensors MergeCheckpoints(const Trajectory& trajectory, std::span<const double> coefficients) {
  constexpr std::int64_t kRange = 4 << 20;  // parameters
  if (coefficients.size() != trajectory.steps.size()) {
    throw ConfigError("coefficients: expected {}, one per checkpoint of the trajectory, found {}",
                      trajectory.steps.size(), coefficients.size());
  }
  if (trajectory.lora) return MergeLora(trajectory, coefficients);
  const std::int64_t total = trajectory.table.num_elements();
  const at::Tensor flat = at::empty({total}, at::kFloat);
  for (std::int64_t begin = 0; begin < total; begin += kRange) {
    const std::int64_t end = std::min(begin + kRange, total);
    const Merger merger(ReadShard(trajectory, {begin, end}));
    merger.Merge(coefficients, {flat.data_ptr<float>() + begin, static_cast<std::size_t>(end - begin)});
  }
  NamedTensors tensors = trajectory.carried;
  for (const TensorEntry& entry : trajectory.table.entries()) {
    tensors[entry.name] =
        flat.slice(0, entry.offset, entry.offset + entry.num_elements()).view(entry.shape).to(ScalarTypeOf(entry.type));
  }
  return tensors;
}

}  // namespace lcsc
