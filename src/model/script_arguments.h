// Which named inputs a TorchScript module asks for, and where they come from.
#pragma once

#include <string>
#include <vector>

#include "lcsc/model/network.h"
#include "script_module.h"

namespace lcsc {

// The arguments of a module's forward behind the first ones, which are given by place. `labels` and `class_labels` are
// the one-hot labels of a Conditioning, every other name is one of its tensors.
class ScriptArguments {
 public:
  // leading: what the first arguments are, for the message: {"x", "sigma"}. source names the module's file. Throws
  // InputError when the module has no forward or its forward has fewer arguments.
  ScriptArguments(const torch::jit::Module& module, const std::vector<std::string>& leading, std::string source);

  // One entry for each argument that the conditioning has; without gradients of its own. Throws InputError that names
  // the first argument which has no default and is not there.
  torch::jit::Kwargs Named(const Conditioning& conditioning) const;
  // What they are called; "labels" for either name of the labels.
  std::vector<std::string> names() const;

 private:
  struct Argument {
    std::string name;
    bool required;
  };
  std::vector<Argument> named_;
  std::string source_;
};

}  // namespace lcsc
