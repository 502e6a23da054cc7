// Which tensor of the base model a LoRA module means.
#pragma once

#include <string>
#include <vector>

#include "lcsc/io/tensor_file.h"
#include "lora_names.h"

namespace lcsc {

// A module with the name that messages call it by.
struct NamedLoraModule {
  std::string factor;  // the name of one of its factors in the checkpoint
  LoraModule module;
};

// The weight of each module, in the modules' order. Names need not agree from the first letter: what the base model's
// names have in front ("model.") may be missing, if it is the same, whole components for all modules; and the
// component ("unet.") may be there or not, if it is the same for all modules. Everything else is exact.
// Throws InputError that names the factor when it matches no tensor of the base model, or more than one.
std::vector<TensorEntry> FindLoraTargets(const std::vector<NamedLoraModule>& modules, const TensorFile& checkpoint,
                                         const TensorFile& base_model);

}  // namespace lcsc
