#include "weight_gradient.h"

#include <torch/csrc/autograd/autograd.h>

#include "lcsc/model/registry.h"

namespace lcsc {

WeightGradient::WeightGradient(Denoiser& network, const TensorTable& table)
    : flat_(at::zeros({table.num_elements()}, at::kDouble)) {
  const NamedTensors state = StateDict(network);
  for (const TensorEntry& entry : table.entries()) tensors_.push_back(state.at(entry.name));
  for (const at::Tensor& tensor : tensors_) tensor.requires_grad_(true);
}

WeightGradient::~WeightGradient() {
  for (const at::Tensor& tensor : tensors_) tensor.requires_grad_(false);
}

void WeightGradient::Add(const at::Tensor& loss) {
  const auto gradients = torch::autograd::grad({loss}, tensors_, /*grad_outputs=*/{}, /*retain_graph=*/false,
                                               /*create_graph=*/false, /*allow_unused=*/true);
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < tensors_.size(); offset += tensors_[i++].numel()) {
    if (gradients[i].defined()) flat_.narrow(0, offset, tensors_[i].numel()).add_(gradients[i].flatten());
  }
}

}  // namespace lcsc
