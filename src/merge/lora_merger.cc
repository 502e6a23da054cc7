#include "lora_merger.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "lcsc/base/error.h"

namespace lcsc {

LoraMerger::LoraMerger(const Trajectory& trajectory, const GroupPlace& place)
    : trajectory_(trajectory), base_model_(OpenBaseModel(*trajectory.lora, trajectory.folder)) {
  table_ = TargetTable(*trajectory.lora);
  const std::vector<LayerRange> shares = ShareOut(place.group_size);
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

std::vector<LayerRange> LoraMerger::ShareOut(int group_size) const {
  const std::vector<LoraLayer>& layers = trajectory_.lora->layers;
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

}  // namespace lcsc
