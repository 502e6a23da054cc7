// LoRA factors -> the weights of the tensors that they change.
#pragma once

#include "lcsc/merge/weight_merger.h"
#include "lora_factors.h"

namespace lcsc {

// Contiguous ranges of layers, one per rank, of about the same number of multiplications.
std::vector<LayerRange> ShareOutLayers(const LoraDescription& lora, int group_size);

// What a LoraMerger of this share holds, and what its largest layer needs while it is merged.
MergeMemory LoraMemoryOf(const Trajectory& trajectory, const LayerRange& share);

//   W = W_0 + sum_i a_i s B_i A_i
// by one matrix product per layer, [out, K r] times [K r, in]. Ranks share out whole layers, so that a weight is
// computed in the same way however many there are.
class LoraMerger : public WeightMerger {
 public:
  LoraMerger(const Trajectory& trajectory, const GroupPlace& place);

  NamedTensors ReadCarried() const override;
  void MergeBatch(std::span<const std::span<const double>> coefficients,
                  std::span<const std::span<float>> wholes) const override;
  // dF/da_i = s <dF/dW, B_i A_i - B_1 A_1>: one matrix product per layer, as in a merge.
  std::vector<double> Project(std::span<const double> weight_gradient) const override;

 private:
  Trajectory trajectory_;
  LayerRange own_;
  std::unique_ptr<LoraFactors> factors_;
  std::vector<at::Tensor> base_;  // W_0 of the own layers, float32 [out, in k k]
  std::unique_ptr<TensorFile> base_model_;
};

}  // namespace lcsc
