#include "script_arguments.h"

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

constexpr const char* kLabels = "labels";

bool IsLabels(const std::string& name) { return name == kLabels || name == "class_labels"; }

at::Tensor Find(const Conditioning& conditioning, const std::string& name) {
  if (IsLabels(name)) return conditioning.labels;
  const auto tensor = conditioning.tensors.find(name);
  return tensor == conditioning.tensors.end() ? at::Tensor() : tensor->second;
}

std::string MissingText(const Conditioning& conditioning, const std::string& name) {
  if (IsLabels(name)) {
    return "there are no labels; set label_dim in the network JSON, or without a network give them one-hot in the file "
           "of evaluation.conditioning";
  }
  std::vector<std::string> known;
  for (const auto& [key, tensor] : conditioning.tensors) known.push_back(key);
  return fmt::format("there is {} to condition on; add a tensor of that name to the file of evaluation.conditioning",
                     known.empty() ? "nothing" : fmt::format("only {}", fmt::join(known, ", ")));
}

}  // namespace

ScriptArguments::ScriptArguments(const torch::jit::Module& module, const std::vector<std::string>& leading,
                                 std::string source)
    : source_(std::move(source)) {
  const auto forward = module.find_method("forward");
  if (!forward) throw InputError("{}: the TorchScript module has no method forward; export one that has", source_);
  const auto& arguments = forward->function().getSchema().arguments();
  constexpr std::size_t kSelf = 1;
  if (arguments.size() < kSelf + leading.size()) {
    throw InputError("{}: the module's forward has {} arguments; expected ({}[, labels][, named tensors])", source_,
                     arguments.size() - kSelf, fmt::join(leading, ", "));
  }
  for (std::size_t i = kSelf + leading.size(); i < arguments.size(); ++i) {
    named_.push_back({arguments[i].name(), !arguments[i].default_value().has_value()});
  }
}

std::vector<std::string> ScriptArguments::names() const {
  std::vector<std::string> names;
  for (const Argument& argument : named_) names.push_back(IsLabels(argument.name) ? kLabels : argument.name);
  return names;
}

torch::jit::Kwargs ScriptArguments::Named(const Conditioning& conditioning) const {
  torch::jit::Kwargs given;
  for (const Argument& argument : named_) {
    const at::Tensor tensor = Find(conditioning, argument.name);
    if (tensor.defined()) {
      given[argument.name] = tensor;
    } else if (argument.required) {
      throw InputError("{}: the module's forward needs the argument \"{}\", but {}", source_, argument.name,
                       MissingText(conditioning, argument.name));
    }
  }
  return given;
}

}  // namespace lcsc
