#include "lora_merger.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "lcsc/base/error.h"

namespace lcsc {

std::vector<LayerRange> ShareOutLayers(const LoraDescription& lora, int group_size) {
  const std::vector<LoraLayer>& layers = lora.layers;
  std::int64_t total = 0;
  for (const LoraLayer& layer : layers) total += layer.rank * layer.target.num_elements();
  std::vector<LayerRange> shares;
  std::size_t next = 0;
  std::int64_t done = 0;
  for (int i = 0; i < group_size; ++i) {
    LayerRange share{next, next};
    const double until = static_cast<double>(total) * (i + 1) / group_size;
    while (next < layers.size()) {
      const std::int64_t work = layers[next].rank * layers[next].target.num_elements();
      // A layer belongs to the rank in whose share its middle lies.
      if (i + 1 < group_size && static_cast<double>(done) + static_cast<double>(work) / 2 > until) break;
      done += work;
      share.end = ++next;
    }
    shares.push_back(share);
  }
  return shares;
}

MergeMemory LoraMemoryOf(const Trajectory& trajectory, const LayerRange& share) {
  const auto num_checkpoints = trajectory.num_checkpoints();
  const auto delta_bytes = static_cast<std::int64_t>(c10::elementSize(ScalarTypeOf(trajectory.storage)));
  MergeMemory memory;
  for (std::size_t i = share.begin; i < share.end; ++i) {
    const LoraLayer& layer = trajectory.lora->layers[i];
    const std::int64_t factors = layer.rank * (layer.num_rows() + layer.num_columns());
    memory.held_bytes += factors * (4 + (num_checkpoints - 1) * delta_bytes) + 4 * layer.target.num_elements();
    // The rows in float32, scaled, and in the order of the product.
    memory.scratch_bytes = std::max(memory.scratch_bytes, 3 * 4 * factors * num_checkpoints);
  }
  return memory;
}

LoraMerger::LoraMerger(const Trajectory& trajectory, const GroupPlace& place)
    : trajectory_(trajectory), base_model_(OpenBaseModel(*trajectory.lora, trajectory.folder)) {
  table_ = TargetTable(*trajectory.lora);
  const std::vector<LayerRange> shares = ShareOutLayers(*trajectory.lora, place.group_size);
  const auto begin_of = [&](std::size_t layer) {
    return layer < table_.entries().size() ? table_.entries()[layer].offset : table_.num_elements();
  };
  for (const LayerRange& share : shares) parts_.push_back({begin_of(share.begin), begin_of(share.end)});
  own_ = shares.at(static_cast<std::size_t>(place.group_rank));
  factors_ = std::make_unique<LoraFactors>(trajectory_, own_);
  for (std::size_t i = own_.begin; i < own_.end; ++i) {
    const LoraLayer& layer = trajectory_.lora->layers[i];
    base_.push_back(
        base_model_->Read(layer.target.name).to(at::kFloat).reshape({layer.num_rows(), layer.num_columns()}));
  }
}

NamedTensors LoraMerger::ReadCarried() const {
  NamedTensors carried;
  const auto& targets = table_.entries();
  for (const TensorEntry& entry : base_model_->entries()) {
    if (std::ranges::binary_search(targets, entry.name, {}, &TensorEntry::name)) continue;
    carried[entry.name] = base_model_->Read(entry.name);
  }
  return carried;
}

void LoraMerger::MergeBatch(std::span<const std::span<const double>> coefficients,
                            std::span<const std::span<float>> wholes) const {
  LCSC_CHECK(coefficients.size() == wholes.size());
  for (const std::span<float> whole : wholes) {
    LCSC_CHECK(static_cast<std::int64_t>(whole.size()) == table_.num_elements());
  }
  const at::NoGradGuard no_gradients;
  for (std::size_t i = own_.begin; i < own_.end; ++i) {
    const at::Tensor& base = base_[i - own_.begin];
    for (std::size_t c = 0; c < wholes.size(); ++c) {
      const auto [left, right] = factors_->ProductOf(i, coefficients[c]);
      at::Tensor out = at::from_blob(wholes[c].data() + table_.entries()[i].offset, base.sizes(), at::kFloat);
      at::addmm_out(out, base, left, right);
    }
  }
}

std::vector<double> LoraMerger::Project(std::span<const double> weight_gradient) const {
  LCSC_CHECK(static_cast<std::int64_t>(weight_gradient.size()) == table_.num_elements());
  const at::NoGradGuard no_gradients;
  const std::int64_t num_checkpoints = trajectory_.num_checkpoints();
  const auto k = static_cast<double>(num_checkpoints);
  const std::vector<double> even(static_cast<std::size_t>(num_checkpoints), 1 / k);  // all factors, each by 1 / K
  at::Tensor sums = at::zeros({num_checkpoints}, at::kDouble);
  for (std::size_t i = own_.begin; i < own_.end; ++i) {
    const auto [left, right] = factors_->ProductOf(i, even);
    const at::Tensor gradient =
        at::tensor(at::ArrayRef<double>(weight_gradient.data() + table_.entries()[i].offset,
                                        static_cast<std::size_t>(base_[i - own_.begin].numel())))
            .view(base_[i - own_.begin].sizes());
    const at::Tensor products = left.to(at::kDouble) * gradient.mm(right.to(at::kDouble).t());
    sums += products.view({products.size(0), num_checkpoints, -1}).sum(at::IntArrayRef{0, 2}) * k;
  }
  sums -= sums[0].clone();
  return {sums.data_ptr<double>(), sums.data_ptr<double>() + num_checkpoints};
}

}  // namespace lcsc
