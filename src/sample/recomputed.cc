#include "recomputed.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <set>
#include <vector>

#include "lcsc/model/registry.h"

namespace lcsc {
namespace {

using Tensors = std::vector<at::Tensor>;

struct Call : torch::CustomClassHolder {
  Denoiser* network = nullptr;
  at::Tensor x, sigma;
  Conditioning conditioning;
  Tensors weights;  // those that are differentiated with respect to

  at::Tensor Answer(const at::Tensor& question) const { return network->Denoise(question, sigma, conditioning); }
};

struct Recomputed : torch::autograd::Function<Recomputed> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const c10::intrusive_ptr<Call>& call,
                            const at::Tensor& x, const at::TensorList&) {
    call->x = x.detach().requires_grad_(x.requires_grad());
    context->saved_data["call"] = c10::IValue::make_capsule(call);
    return call->Answer(x);
  }

  static Tensors backward(torch::autograd::AutogradContext* context, const Tensors& of_answer) {
    const auto call = c10::static_intrusive_pointer_cast<Call>(context->saved_data["call"].toCapsule());
    const at::AutoGradMode with_gradients(true);
    const bool reaches_x = call->x.requires_grad();
    Tensors inputs = call->weights;
    if (reaches_x) inputs.push_back(call->x);
    const Tensors gradients =
        torch::autograd::grad({call->Answer(call->x)}, inputs, {of_answer.front()}, /*retain_graph=*/false,
                              /*create_graph=*/false, /*allow_unused=*/true);
    Tensors of_inputs = {{}, reaches_x ? gradients.back() : at::Tensor()};  // of the call, x, and the weights
    of_inputs.insert(of_inputs.end(), gradients.begin(),
                     gradients.begin() + static_cast<std::ptrdiff_t>(call->weights.size()));
    return of_inputs;
  }
};

}  // namespace

at::Tensor DenoiseRecomputed(Denoiser& network, const at::Tensor& x, const at::Tensor& sigma,
                             const Conditioning& conditioning) {
  auto call = c10::make_intrusive<Call>();
  call->network = &network;
  call->sigma = sigma;
  call->conditioning = conditioning;
  std::set<const c10::TensorImpl*> seen;  // one tensor may have several names
  for (const auto& [name, tensor] : StateDict(network)) {
    if (tensor.requires_grad() && seen.insert(tensor.unsafeGetTensorImpl()).second) call->weights.push_back(tensor);
  }
  const Tensors weights = call->weights;
  return Recomputed::apply(std::move(call), x, at::TensorList(weights));
}

}  // namespace lcsc
