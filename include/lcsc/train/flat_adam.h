// Adam over one flat vector that holds all weights of a network: a step is a few passes over contiguous memory, and
// its whole state is three tensors.
#pragma once

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include <memory>
#include <string>

#include "lcsc/io/safetensors.h"

namespace lcsc {

class FlatAdam {
 public:
  // Moves the network's parameters, all float32, into one vector (they become views of it), and their gradients into
  // another. The network outlives the optimiser or is not trained further.
  explicit FlatAdam(torch::nn::Module& network);
  ~FlatAdam();
  FlatAdam(const FlatAdam&) = delete;
  FlatAdam& operator=(const FlatAdam&) = delete;

  // Differentiates `loss` and takes one step (Kingma & Ba 2015, Alg. 1; betas 0.9 and 0.999, eps 1e-8).
  void Minimise(const at::Tensor& loss, double learning_rate);

  // "weights", "exp_avg", "exp_avg_sq": float32 [p], sharing memory with the optimiser; "step": int64 scalar.
  NamedTensors State() const;
  // Continues as if the steps up to `state` had just been taken. Throws InputError that names `source` when the state
  // belongs to another network.
  void Restore(const NamedTensors& state, const std::string& source);

 private:
  struct Torch;
  std::unique_ptr<Torch> torch_;
};

}  // namespace lcsc
