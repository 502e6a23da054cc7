// Memory that tensors of a TorchScript module share: tied parameters, views of a parameter, lists of parameters.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <string>
#include <vector>

namespace lcsc {

// A parameter and another tensor of the module with an element of it.
struct ScriptAlias {
  std::string parameter;  // by its dotted name
  std::string other;      // a parameter, a buffer, or the attribute that holds the tensor
  at::Tensor other_tensor;
  bool is_state = false;       // `other` is a parameter or a buffer
  bool is_same = false;        // both are the same elements in the same shape
  bool is_one_object = false;  // pointing one elsewhere points the other there as well
};

// Every parameter with every other tensor; two parameters are there in both orders.
std::vector<ScriptAlias> FindScriptAliases(const torch::jit::Module& module);

}  // namespace lcsc
