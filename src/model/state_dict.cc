// The part of the registry that moves tensors between a module and the outside.
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <set>

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

const ScriptDenoiser* AsScript(const torch::nn::Module& module) { return dynamic_cast<const ScriptDenoiser*>(&module); }

// What the module's tensors share; nothing in networks that are built in.
std::vector<ScriptAlias> AliasesOf(const torch::nn::Module& module) {
  const auto* script = AsScript(module);
  return script == nullptr ? std::vector<ScriptAlias>() : script->aliases();
}

// Whether the module can do without a tensor of that name being given: it may stay, or is given under another name.
bool MayLack(const torch::nn::Module& module, const std::string& name, const NamedTensors& given) {
  const auto* script = AsScript(module);
  if (script == nullptr) return false;
  return script->MayKeep(name) || std::ranges::any_of(script->aliases(), [&](const ScriptAlias& alias) {
           return alias.is_same && alias.other == name && given.contains(alias.parameter);
         });
}

// Whether a tensor is what was given for it, but for the rounding of a merge.
bool Holds(const at::Tensor& own, const at::Tensor& given) {
  constexpr double kRounding = 1e-5;
  if (own.numel() == 0) return true;
  const at::Tensor x = own.to(at::kDouble), y = given.to(at::kDouble);
  return !((x - y).abs().max() > kRounding * x.abs().max()).item<bool>();
}

// Throws when two of the given tensors were written to the same memory and one was lost by it.
void CheckAliasedValues(torch::nn::Module& module, const NamedTensors& given, const std::string& source) {
  const NamedTensors own = StateDict(module);
  for (const ScriptAlias& alias : AliasesOf(module)) {
    const auto one = given.find(alias.parameter), other = given.find(alias.other);
    if (one == given.end() || other == given.end() || !alias.is_state) continue;
    const bool both = Holds(own.at(alias.parameter), one->second) && Holds(own.at(alias.other), other->second);
    if (!both) RefuseTied({alias.parameter, alias.other}, source);
  }
}

// Tensors that share memory with a parameter which now lies in the flat vector follow it.
void MoveAliases(const ScriptDenoiser& script, const NamedTensors& own, const std::set<std::string>& moved,
                 const NamedTensors& given) {
  for (const ScriptAlias& alias : script.aliases()) {
    if (!moved.contains(alias.parameter) || moved.contains(alias.other) || alias.is_one_object) continue;
    if (alias.is_same) {
      at::Tensor(alias.other_tensor).set_data(own.at(alias.parameter));
    } else if (!alias.is_state || !given.contains(alias.other)) {
      throw InputError(
          "{}: {} is a view of the parameter {}, which merged weights replace; make it a copy (clone) before the "
          "export, or take it from the parameter in forward",
          script.file(), alias.other, alias.parameter);
    }
  }
}

// Calls visit(own, given) for every tensor that was given after all have been compared with the module's.
template <typename Visit>
void ForEachMatched(torch::nn::Module& module, const NamedTensors& given, const std::string& source, Visit visit) {
  NamedTensors own = StateDict(module);
  Mismatches mismatches(source);
  for (const auto& [name, tensor] : own) {
    const auto found = given.find(name);
    if (found == given.end()) {
      if (MayLack(module, name, given)) continue;
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
  CheckAliasedValues(module, tensors, source);
}

void BindFlatWeights(torch::nn::Module& module, const TensorTable& table, const at::Tensor& flat,
                     const NamedTensors& carried, const std::string& source) {
  LCSC_CHECK(flat.scalar_type() == at::kFloat && flat.dim() == 1 && flat.size(0) == table.num_elements());
  const at::NoGradGuard no_grad;
  NamedTensors given = carried;
  std::set<std::string> moved;
  for (const TensorEntry& entry : table.entries()) {
    moved.insert(entry.name);
    given[entry.name] = flat.narrow(0, entry.offset, entry.num_elements()).view(entry.shape);
  }
  ForEachMatched(module, given, source, [&flat](at::Tensor& own, const at::Tensor& view) {
    if (view.is_alias_of(flat)) {
      own.set_data(view);
    } else {
      own.copy_(view);
    }
  });
  if (const auto* script = AsScript(module)) MoveAliases(*script, StateDict(module), moved, given);
}

std::vector<std::string> ConditioningNames(const Denoiser& network) {
  if (const auto* script = AsScript(network)) return script->conditioning_names();
  return network.label_dim() > 0 ? std::vector<std::string>{"labels"} : std::vector<std::string>();
}

std::vector<TiedTensors> TiedTensorsOf(const torch::nn::Module& module) {
  std::vector<TiedTensors> tied;
  for (const ScriptAlias& alias : AliasesOf(module)) {
    if (alias.is_same && alias.is_state) tied.push_back({alias.parameter, alias.other});
  }
  return tied;
}

void RefuseTied(const TiedTensors& tied, const std::string& source) {
  throw InputError(
      "{}: {} and {} differ, but the TorchScript module has the same memory for both; expected weights of the tied "
      "network, or a module that was exported with a copy (clone) of each",
      source, tied.one, tied.other);
}

}  // namespace lcsc
