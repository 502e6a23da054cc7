// The part of the registry that moves tensors between a module and the outside.
#include <ATen/core/grad_mode.h>

#include "lcsc/base/error.h"
#include "lcsc/model/registry.h"
#include "script_denoiser.h"

namespace lcsc {
namespace {

std::string Description(const at::Tensor& tensor) {
  return fmt::format("{} {}", DataTypeName(DataTypeOf(tensor)), ShapeText(tensor.sizes().vec()));
}

// Floating-point tensors convert into one another; all others must have the very type.
bool Fits(const at::Tensor& own, const at::Tensor& given) {
  const bool same_type = own.is_floating_point() ? given.is_floating_point() : own.scalar_type() == given.scalar_type();
  return same_type && own.sizes() == given.sizes();
}

// Collects what is wrong with a set of tensors, to say it at once.
class Mismatches {
 public:
  explicit Mismatches(const std::string& source) : source_(source) {}
  void Add(std::string problem) {
    if (count_++ == 0) first_ = std::move(problem);
  }
  void ThrowIfAny() const {
    if (count_ == 0) return;
    const std::string others = count_ == 1 ? "" : fmt::format(" (and {} more differences)", count_ - 1);
    throw InputError("{}: {}{}; the tensors must be exactly those of the network", source_, first_, others);
  }

 private:
  const std::string& source_;
  std::string first_;
  int count_ = 0;
};

// Whether the module can do without a tensor of that name being given.
bool MayKeep(const torch::nn::Module& module, const std::string& name) {
  const auto* script = dynamic_cast<const ScriptDenoiser*>(&module);
  return script != nullptr && script->MayKeep(name);
}

// Calls visit(own, given) for every tensor that was given after all have been compared with the module's.
template <typename Visit>
void ForEachMatched(torch::nn::Module& module, const NamedTensors& given, const std::string& source, Visit visit) {
  NamedTensors own = StateDict(module);
  Mismatches mismatches(source);
  for (const auto& [name, tensor] : own) {
    const auto found = given.find(name);
    if (found == given.end()) {
      if (MayKeep(module, name)) continue;
      mismatches.Add(fmt::format("tensor {} is missing, expected {}", name, Description(tensor)));
    } else if (!Fits(tensor, found->second)) {
      mismatches.Add(
          fmt::format("tensor {}: expected {}, found {}", name, Description(tensor), Description(found->second)));
    }
  }
  for (const auto& [name, tensor] : given) {
    if (!own.contains(name)) {
      mismatches.Add(fmt::format("tensor {} ({}) is not one of the network's", name, Description(tensor)));
    }
  }
  mismatches.ThrowIfAny();
  for (const auto& [name, tensor] : given) visit(own.at(name), tensor);
}

}  // namespace

NamedTensors StateDict(torch::nn::Module& module) {
  NamedTensors tensors;
  for (const auto& item : module.named_parameters()) tensors.emplace(item.key(), item.value());
  for (const auto& item : module.named_buffers()) tensors.emplace(item.key(), item.value());
  return tensors;
}

void LoadStateDict(torch::nn::Module& module, const NamedTensors& tensors, const std::string& source) {
  const at::NoGradGuard no_grad;
  ForEachMatched(module, tensors, source, [](at::Tensor& own, const at::Tensor& given) { own.copy_(given); });
}

void BindFlatWeights(torch::nn::Module& module, const TensorTable& table, const at::Tensor& flat,
                     const NamedTensors& carried, const std::string& source) {
  LCSC_CHECK(flat.scalar_type() == at::kFloat && flat.dim() == 1 && flat.size(0) == table.num_elements());
  const at::NoGradGuard no_grad;
  NamedTensors given = carried;
  for (const TensorEntry& entry : table.entries()) {
    given[entry.name] = flat.narrow(0, entry.offset, entry.num_elements()).view(entry.shape);
  }
  ForEachMatched(module, given, source, [&flat](at::Tensor& own, const at::Tensor& view) {
    if (view.is_alias_of(flat)) {
      own.set_data(view);
    } else {
      own.copy_(view);
    }
  });
}

}  // namespace lcsc
