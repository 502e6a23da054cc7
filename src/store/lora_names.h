// The names that peft, diffusers and kohya's scripts give to LoRA tensors.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lcsc/io/tensor_table.h"

namespace lcsc {

enum class LoraRole { kDown, kUp, kAlpha };

// "unet.mid.to_q.lora_A.default.weight" -> role kDown, module "unet.mid.to_q", adapter "default".
struct LoraTensorName {
  LoraRole role = LoraRole::kDown;
  std::string module;
  std::string adapter;       // peft's name of it; "" when it stands nowhere
  bool is_peft = false;      // lora_A, lora_B
  bool is_attached = false;  // "to_q_lora.down": the module is `to_q` of what stands before
};
// nullopt for names that no dialect knows.
std::optional<LoraTensorName> ParseLoraTensorName(const std::string& name);

// Whether only peft writes such names: "base_model.model.MODULE.lora_A.weight".
bool IsPeftModule(const LoraTensorName& name);

// Whether a file with these tensors is a LoRA checkpoint: whether it has any factor.
bool HoldsLoraFactors(const std::vector<TensorEntry>& entries);

// Where a pair of factors belongs.
struct LoraModule {
  std::string component;           // "unet", "text_encoder", ...; "" when the name has none
  bool is_flattened = false;       // kohya: '_' stands for '.'
  std::vector<std::string> paths;  // without the component; the first that the base model has
};
LoraModule ModuleOf(const LoraTensorName& name);

// "a.b_c" -> "a_b_c", as kohya writes modules.
std::string Flattened(std::string path);

}  // namespace lcsc
