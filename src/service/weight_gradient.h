// The derivatives of a number with respect to a network's merged weights, summed over batches.
#pragma once

#include <ATen/ATen.h>

#include <span>
#include <vector>

#include "lcsc/io/tensor_table.h"
#include "lcsc/model/network.h"

namespace lcsc {

class WeightGradient {
 public:
  // While it lives, the network's tensors that `table` names are differentiated with respect to, and the network must.
  WeightGradient(Denoiser& network, const TensorTable& table);
  ~WeightGradient();
  WeightGradient(const WeightGradient&) = delete;
  WeightGradient& operator=(const WeightGradient&) = delete;

  // loss: a number that was computed from the network's weights. Frees what autograd has kept for it.
  void Add(const at::Tensor& loss);
  // [table.num_elements()], in float64 so that the order of many batches does not matter.
  std::span<double> flat() { return {flat_.data_ptr<double>(), static_cast<std::size_t>(flat_.numel())}; }

 private:
  std::vector<at::Tensor> tensors_;  // in the table's order
  at::Tensor flat_;
};

}  // namespace lcsc
