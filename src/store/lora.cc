#include "lcsc/store/lora.h"

#include <algorithm>
#include <numeric>

#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lora_names.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

fs::path FindBaseModel(const LoraDescription& lora, const fs::path& trajectory_folder) {
  if (fs::exists(lora.base_model)) return lora.base_model;
  const fs::path folder = fs::absolute(trajectory_folder / "").lexically_normal().parent_path().parent_path();
  const fs::path beside = folder / lora.base_model.filename();
  if (fs::exists(beside)) return beside;
  throw InputError(
      "{}: expected the base model of its LoRA factors at {} or {}, found neither; put the file (digest {}) there",
      trajectory_folder.string(), lora.base_model.string(), beside.string(), lora.base_digest);
}

// peft takes the first entry whose key ends a module's path ("mix" ends "mid.mix"): all modules, the longest first, so
// that each finds its own. Nothing when all have the same rank.
nlohmann::ordered_json PatternOf(const std::vector<std::string>& modules, const std::vector<std::int64_t>& ranks) {
  nlohmann::ordered_json pattern = nlohmann::ordered_json::object();
  if (std::ranges::adjacent_find(ranks, std::ranges::not_equal_to{}) == ranks.end()) return pattern;
  std::vector<std::size_t> order(modules.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater{}, [&](std::size_t i) { return modules[i].size(); });
  for (const std::size_t i : order) pattern[modules[i]] = ranks[i];
  return pattern;
}

}  // namespace

TensorTable TargetTable(const LoraDescription& lora) {
  std::vector<TensorEntry> targets;
  for (const LoraLayer& layer : lora.layers) targets.push_back(layer.target);
  return TensorTable(std::move(targets));
}

nlohmann::json LoraContent(const LoraDescription& lora) {
  nlohmann::json layers = nlohmann::json::array();
  for (const LoraLayer& layer : lora.layers) {
    layers.push_back({{"target", layer.target.name},
                      {"type", DataTypeName(layer.target.type)},
                      {"shape", layer.target.shape},
                      {"rank", layer.rank},
                      {"scale", layer.scale},
                      {"down", layer.down},
                      {"up", layer.up}});
  }
  nlohmann::json content = {{"base_digest", lora.base_digest}, {"layers", std::move(layers)}};
  if (!lora.base_key.empty()) content["base_key"] = lora.base_key;
  return content;
}

std::string AdapterConfigOf(const LoraDescription& lora, const std::vector<std::int64_t>& ranks) {
  LCSC_CHECK(ranks.size() == lora.layers.size());
  nlohmann::ordered_json config =
      nlohmann::ordered_json::parse(lora.adapter_config, nullptr, /*allow_exceptions=*/false);
  std::vector<std::string> modules;
  for (const LoraLayer& layer : lora.layers) {
    const auto name = ParseLoraTensorName(layer.down);
    if (!config.is_object() && !(name && IsPeftModule(*name))) return "";
    modules.push_back(name ? ModuleOf(*name).paths.front() : layer.down);
  }
  if (!config.is_object()) config = {{"peft_type", "LORA"}, {"target_modules", modules}};
  const std::int64_t rank = std::ranges::max(ranks);
  const nlohmann::ordered_json pattern = PatternOf(modules, ranks);
  config.update({{"r", rank},
                 {"lora_alpha", rank},
                 {"rank_pattern", pattern},
                 {"alpha_pattern", pattern},
                 {"use_rslora", false}});
  return config.dump(2) + "\n";
}

std::unique_ptr<TensorFile> OpenBaseModel(const LoraDescription& lora, const fs::path& trajectory_folder) {
  const fs::path path = FindBaseModel(lora, trajectory_folder);
  const std::string found = DigestOfFile(path);
  if (found != lora.base_digest) {
    throw InputError("{}: expected the base model of {} with digest {}, found {}; the LoRA factors belong to that one",
                     path.string(), trajectory_folder.string(), lora.base_digest, found);
  }
  return OpenTensorFile(path, {.key = lora.base_key});
}

}  // namespace lcsc
