#include "lora_names.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace lcsc {
namespace {

constexpr const char* kPeftPrefix = "base_model.model.";

// What stands behind the module's name. The order matters: the longer ending comes first.
struct Ending {
  const char* text;
  LoraRole role;
  bool is_attached = false;
};
constexpr std::array<Ending, 11> kEndings = {{
    {".lora_linear_layer.down.weight", LoraRole::kDown},
    {".lora_linear_layer.up.weight", LoraRole::kUp},
    {".lora_layer.down.weight", LoraRole::kDown},
    {".lora_layer.up.weight", LoraRole::kUp},
    {".lora.down.weight", LoraRole::kDown},
    {".lora.up.weight", LoraRole::kUp},
    {"_lora.down.weight", LoraRole::kDown, true},
    {"_lora.up.weight", LoraRole::kUp, true},
    {".lora_down.weight", LoraRole::kDown},
    {".lora_up.weight", LoraRole::kUp},
    {".alpha", LoraRole::kAlpha},
}};

// kohya's and diffusers' names of a pipeline's parts, and the part's name in the base model.
constexpr std::array<std::pair<const char*, const char*>, 4> kFlattenedComponents = {{
    {"lora_unet_", "unet"},
    {"lora_te1_", "text_encoder"},
    {"lora_te2_", "text_encoder_2"},
    {"lora_te_", "text_encoder"},
}};
constexpr std::array<const char*, 5> kComponents = {"unet", "text_encoder", "text_encoder_2", "transformer",
                                                    "diffusion_model"};

bool Cut(std::string& text, const std::string& prefix) {
  if (!text.starts_with(prefix)) return false;
  text.erase(0, prefix.size());
  return true;
}

// The modules that an attention processor's factors may belong to: "to_q" is "q_proj" in a text encoder.
std::vector<std::string> AttachedPaths(std::string path) {
  static const std::vector<std::pair<std::string, std::vector<std::string>>> renamed = {
      {"to_q", {"to_q", "q_proj"}},
      {"to_k", {"to_k", "k_proj"}},
      {"to_v", {"to_v", "v_proj"}},
      {"to_out", {"to_out.0", "to_out", "out_proj"}}};
  const std::size_t dot = path.rfind('.');
  const std::string last = path.substr(dot == std::string::npos ? 0 : dot + 1);
  std::string parent = dot == std::string::npos ? "" : path.substr(0, dot + 1);
  constexpr const char* kProcessor = "processor.";
  if (parent == kProcessor) parent.clear();
  if (parent.ends_with(std::string(".") + kProcessor)) parent.resize(parent.size() - std::string(kProcessor).size());
  std::vector<std::string> paths;
  const auto known = std::ranges::find(renamed, last, &decltype(renamed)::value_type::first);
  for (const std::string& name : known == renamed.end() ? std::vector{last} : known->second) {
    paths.push_back(parent + name);
  }
  return paths;
}

// "MODULE.lora_A.weight", "MODULE.lora_B.ADAPTER.weight"
std::optional<LoraTensorName> ParsePeftName(const std::string& name) {
  constexpr std::string_view kFactor = ".lora_A", kWeight = ".weight";
  const std::size_t place = name.rfind(".lora_");
  if (place == std::string::npos || place == 0 || !name.ends_with(kWeight)) return std::nullopt;
  const std::string factor = name.substr(place, kFactor.size());
  if (factor != ".lora_A" && factor != ".lora_B") return std::nullopt;
  std::string adapter = name.substr(place + kFactor.size(), name.size() - place - kFactor.size() - kWeight.size());
  if (!adapter.empty() && (adapter[0] != '.' || adapter.size() < 2 || adapter.find('.', 1) != std::string::npos)) {
    return std::nullopt;
  }
  return LoraTensorName{.role = factor.back() == 'A' ? LoraRole::kDown : LoraRole::kUp,
                        .module = name.substr(0, place),
                        .adapter = adapter.empty() ? "" : adapter.substr(1),
                        .is_peft = true};
}

}  // namespace

std::optional<LoraTensorName> ParseLoraTensorName(const std::string& name) {
  if (auto peft = ParsePeftName(name)) return peft;
  for (const Ending& ending : kEndings) {
    const std::string text = ending.text;
    if (!name.ends_with(text) || name.size() == text.size()) continue;
    return LoraTensorName{.role = ending.role,
                          .module = name.substr(0, name.size() - text.size()),
                          .adapter = "",
                          .is_attached = ending.is_attached};
  }
  return std::nullopt;
}

bool IsPeftModule(const LoraTensorName& name) { return name.is_peft && name.module.starts_with(kPeftPrefix); }

bool HoldsLoraFactors(const std::vector<TensorEntry>& entries) {
  return std::ranges::any_of(entries, [](const TensorEntry& entry) {
    const auto name = ParseLoraTensorName(entry.name);
    return name && name->role != LoraRole::kAlpha;
  });
}

LoraModule ModuleOf(const LoraTensorName& name) {
  LoraModule module;
  std::string path = name.module;
  Cut(path, kPeftPrefix);
  for (const auto& [prefix, component] : kFlattenedComponents) {
    if (!Cut(path, prefix)) continue;
    return {.component = component, .is_flattened = true, .paths = {path}};
  }
  for (const char* component : kComponents) {
    if (!Cut(path, std::string(component) + ".")) continue;
    module.component = component;
    break;
  }
  module.paths = name.is_attached ? AttachedPaths(path) : std::vector{path};
  return module;
}

std::string Flattened(std::string path) {
  std::ranges::replace(path, '.', '_');
  return path;
}

}  // namespace lcsc
