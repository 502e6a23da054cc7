#include <algorithm>

#include "denoiser_families.h"
#include "lcsc/base/error.h"
#include "lcsc/model/registry.h"
#include "lcsc/model/weight_budget.h"

namespace lcsc {
namespace {

constexpr const char* kConfigKey = "config";
constexpr const char* kScriptType = "TorchScript";

struct Family {
  const char* model_type;
  std::shared_ptr<Denoiser> (*make)(JsonReader& json);
};
constexpr Family kFamilies[] = {{"SongUNet", MakeEdmDenoiser}, {"DhariwalUNet", MakeEdmDenoiser},
                                {"adm", MakeAdmDenoiser},      {"improved_ddpm", MakeImprovedDiffusionDenoiser},
                                {"ddpm", MakeDdpmDenoiser},    {kScriptType, MakeScriptDenoiser}};

const Family& FamilyOf(JsonReader& reader) {
  std::string type;
  if (reader.Holds("model_type")) {
    type = reader.Require<std::string>("model_type");
  } else if (reader.Holds("precond") || reader.Holds("class_name")) {
    type = "SongUNet";  // EDM's classes know which of its two networks is their default
  } else if (reader.Holds("ch_mult")) {
    type = "ddpm";  // ddim's configuration has no name for its network
  } else {
    type = reader.Require<std::string>("model_type");
  }
  const auto* found = std::ranges::find(kFamilies, type, &Family::model_type);
  if (found != std::end(kFamilies)) return *found;
  std::vector<std::string> known;
  for (const Family& family : kFamilies) known.emplace_back(family.model_type);
  reader.RefuseWord("model_type", type, known);
}

// Room for a network that differs from its file, so that the difference can be named; none for one that has nothing to
// do with it.
std::int64_t LimitFor(const TensorFile& weights) {
  constexpr std::int64_t kTimes = 4, kSlack = 1 << 24;
  std::int64_t elements = kSlack;
  for (const TensorEntry& entry : weights.entries()) elements += kTimes * entry.num_elements();
  return elements;
}

}  // namespace

std::string ReadTensorPrefix(JsonReader& json, const std::string& fallback) {
  const auto prefix = json.Get("tensor_prefix", fallback);
  if (prefix.empty()) return prefix;
  if (prefix.back() != '.' || prefix.front() == '.' || prefix.find("..") != std::string::npos) {
    throw ConfigError("network JSON: \"tensor_prefix\" is \"{}\"; expected \"\" or names each with a dot behind it",
                      prefix);
  }
  return prefix;
}

NoiseTime ReadNoiseTime(JsonReader& json, NoiseTime fallback) {
  const std::vector<std::pair<std::string, NoiseTime>> known = {{"edm", NoiseTime::kEdm}, {"cm", NoiseTime::kCm}};
  const NoiseTime type = json.GetChoice<NoiseTime>("timestep_type", known, fallback);
  const NoiseTime time = json.GetChoice<NoiseTime>("c_noise", known, type);
  if (time != type && json.Holds("timestep_type")) {
    throw ConfigError("network JSON: \"timestep_type\" and \"c_noise\" contradict each other; remove one");
  }
  return time;
}

std::shared_ptr<Denoiser> MakeDenoiser(const nlohmann::json& json) {
  const auto build = [&json](WeightMemory memory) {
    const WeightBudget budget({.elements = ElementsInMemory(), .memory = memory});
    JsonReader reader(json, "network JSON");
    return FamilyOf(reader).make(reader);
  };
  // To the end, so that a network too large is refused before it takes any memory. A script brings its own weights.
  if (!ScriptFileOf(json)) build(WeightMemory::kNone);
  return build(WeightMemory::kReal);
}

std::optional<std::filesystem::path> ScriptFileOf(const nlohmann::json& network) {
  if (!network.is_object()) return std::nullopt;
  const auto type = network.find("model_type");
  if (type == network.end() || *type != kScriptType) return std::nullopt;
  return JsonReader(network, "network JSON").Require<std::string>("module");
}

nlohmann::json NetworkConfigOf(const TensorFile& file) {
  const auto config = file.metadata().find(kConfigKey);
  if (config == file.metadata().end()) {
    throw InputError("{}: no network JSON; expected it as the string \"{}\" under \"__metadata__\"",
                     file.path().string(), kConfigKey);
  }
  try {
    return nlohmann::json::parse(config->second);
  } catch (const nlohmann::json::exception& error) {
    throw InputError("{}: the network JSON under \"__metadata__\" cannot be read: {}", file.path().string(),
                     error.what());
  }
}

std::shared_ptr<Denoiser> LoadDenoiser(const std::filesystem::path& weights) {
  const auto file = OpenTensorFile(weights);
  return LoadDenoiser(*file, NetworkConfigOf(*file));
}

std::shared_ptr<Denoiser> LoadDenoiser(const TensorFile& weights, const nlohmann::json& json) {
  const WeightBudget budget({.elements = LimitFor(weights)});
  auto network = MakeDenoiser(json);
  LoadStateDict(*network, weights.ReadAll(), weights.path().string());
  network->eval();
  return network;
}

}  // namespace lcsc
