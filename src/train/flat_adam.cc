#include "lcsc/train/flat_adam.h"

#include <torch/optim/adam.h>

#include "lcsc/base/error.h"
#include "lcsc/model/registry.h"

namespace lcsc {
namespace {

TensorTable ParametersOf(torch::nn::Module& network) {
  std::vector<TensorEntry> entries;
  for (const auto& item : network.named_parameters()) {
    entries.push_back({.name = item.key(), .type = DataTypeOf(item.value()), .shape = item.value().sizes().vec()});
  }
  return TensorTable(std::move(entries));
}

at::Tensor ViewOf(const TensorEntry& entry, const at::Tensor& flat) {
  return flat.narrow(0, entry.offset, entry.num_elements()).view(entry.shape);
}

}  // namespace

struct FlatAdam::Torch {
  explicit Torch(const at::Tensor& weights) : flat(weights), adam({flat}, torch::optim::AdamOptions(0)) {}

  torch::optim::AdamParamState& state() {
    return static_cast<torch::optim::AdamParamState&>(*adam.state().begin()->second);
  }

  at::Tensor flat;
  torch::optim::Adam adam;
};

FlatAdam::FlatAdam(torch::nn::Module& network) {
  const TensorTable table = ParametersOf(network);
  const at::Tensor flat = at::zeros({table.num_elements()});
  auto parameters = network.named_parameters();
  for (const TensorEntry& entry : table.entries()) ViewOf(entry, flat).copy_(parameters[entry.name].detach());
  NamedTensors buffers;
  for (const auto& item : network.named_buffers()) buffers.emplace(item.key(), item.value());
  BindFlatWeights(network, table, flat, buffers, "training");

  flat.mutable_grad() = at::zeros_like(flat);
  for (const TensorEntry& entry : table.entries()) {
    parameters[entry.name].mutable_grad() = ViewOf(entry, flat.grad());
  }
  torch_ = std::make_unique<Torch>(flat);
  // Torch makes the moments in the first step; one without a gradient moves nothing.
  torch_->adam.step();
  torch_->state().step(0);
}

FlatAdam::~FlatAdam() = default;

void FlatAdam::Minimise(const at::Tensor& loss, double learning_rate) {
  torch_->flat.mutable_grad().zero_();
  loss.backward();
  torch_->adam.param_groups().front().options().set_lr(learning_rate);
  torch_->adam.step();
}

NamedTensors FlatAdam::State() const {
  const torch::optim::AdamParamState& state = torch_->state();
  return {{"weights", torch_->flat},
          {"exp_avg", state.exp_avg()},
          {"exp_avg_sq", state.exp_avg_sq()},
          {"step", at::scalar_tensor(state.step(), at::kLong)}};
}

void FlatAdam::Restore(const NamedTensors& state, const std::string& source) {
  NamedTensors own = State();
  for (auto& [name, tensor] : own) {
    const auto found = state.find(name);
    if (found == state.end() || found->second.sizes() != tensor.sizes() ||
        found->second.scalar_type() != tensor.scalar_type()) {
      throw InputError("{}: tensor {}: expected {} {}, found {}; it is the state of another network: remove the file",
                       source, name, DataTypeName(DataTypeOf(tensor)), ShapeText(tensor.sizes().vec()),
                       found == state.end() ? "none" : ShapeText(found->second.sizes().vec()));
    }
  }
  for (auto& [name, tensor] : own) tensor.copy_(state.at(name));
  torch_->state().step(own.at("step").item<std::int64_t>());
}

}  // namespace lcsc
