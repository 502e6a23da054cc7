#include "script_aliases.h"

#include <map>
#include <set>

namespace lcsc {
namespace {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
  bool is_parameter, is_state;
};
using ByStorage = std::map<const c10::StorageImpl*, std::vector<NamedTensor>>;

void Collect(const torch::jit::Module& module, const std::string& prefix, ByStorage& tensors) {
  std::set<std::string> parameters;
  for (const auto& parameter : module.named_parameters(/*recurse=*/false)) parameters.insert(parameter.name);
  for (const auto& attribute : module.named_attributes(/*recurse=*/false)) {
    if (attribute.value.isModule()) continue;
    attribute.value.visit([&](const c10::IValue& value) {
      if (!value.isTensor() || !value.toTensor().has_storage()) return false;
      const at::Tensor tensor = value.toTensor();
      tensors[tensor.storage().unsafeGetStorageImpl()].push_back(
          {prefix + attribute.name, tensor, parameters.contains(attribute.name), attribute.value.isTensor()});
      return false;
    });
  }
  for (const auto& child : module.named_children()) Collect(child.value, prefix + child.name + ".", tensors);
}

// The bytes of the storage from the first element's to the last one's.
struct Extent {
  explicit Extent(const at::Tensor& tensor) : begin(tensor.storage_offset() * tensor.element_size()), end(begin) {
    if (tensor.numel() == 0) return;
    std::int64_t last = 0;
    for (std::int64_t i = 0; i < tensor.dim(); ++i) last += (tensor.size(i) - 1) * tensor.stride(i);
    end = begin + (last + 1) * tensor.element_size();
  }
  bool Overlaps(const Extent& other) const { return begin < other.end && other.begin < end; }

  std::int64_t begin, end;
};

}  // namespace

std::vector<ScriptAlias> FindScriptAliases(const torch::jit::Module& module) {
  ByStorage by_storage;
  Collect(module, "", by_storage);
  std::vector<ScriptAlias> aliases;
  for (const auto& [storage, tensors] : by_storage) {
    for (const NamedTensor& parameter : tensors) {
      for (const NamedTensor& other : tensors) {
        const at::Tensor &a = parameter.tensor, &b = other.tensor;
        if (!parameter.is_parameter || &parameter == &other || !Extent(a).Overlaps(Extent(b))) continue;
        const bool is_same = a.scalar_type() == b.scalar_type() && a.storage_offset() == b.storage_offset() &&
                             a.sizes() == b.sizes() && a.strides() == b.strides();
        aliases.push_back({parameter.name, other.name, b, other.is_state, is_same, a.is_same(b)});
      }
    }
  }
  return aliases;
}

}  // namespace lcsc
