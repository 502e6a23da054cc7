#include "lora_scale.h"

#include <cmath>
#include <fstream>
#include <regex>

#include "lcsc/base/error.h"

namespace lcsc {
namespace fs = std::filesystem;
using OrderedJson = nlohmann::ordered_json;  // of the expressions in a pattern, the first in the file decides

namespace {

constexpr const char* kMetadataKey = "lora_adapter_metadata";
constexpr std::uintmax_t kMaxConfigBytes = 1 << 20;
constexpr int kMaxConfigKeys = 1 << 14;        // an ordered object looks at all of its keys to add one
constexpr std::size_t kMaxMatchedName = 4096;  // std::regex recurses once per letter

fs::path ConfigPath(const TensorFile& checkpoint) { return checkpoint.path().parent_path() / "adapter_config.json"; }

double CheckedAlpha(double alpha, const std::string& where) {
  if (std::isfinite(alpha) && alpha > 0) return alpha;
  throw InputError("{}: expected alpha as a number above 0, found {}", where, alpha);
}

// {"unet.r": 4, "text_encoder.r": 8} -> {"r": 4} for "unet"
OrderedJson ConfigOfComponent(const OrderedJson& config, const std::string& component) {
  OrderedJson own = OrderedJson::object();
  const std::string prefix = component + ".";
  for (const auto& [key, value] : config.items()) {
    if (key.starts_with(prefix)) own[key.substr(prefix.size())] = value;
  }
  return own;
}

// The entry of rank_pattern or alpha_pattern for a module: peft's keys are expressions for the end of its path, and the
// first that matches counts, however well another would fit.
std::optional<OrderedJson> PatternEntry(const OrderedJson& config, const std::string& key, const std::string& module) {
  if (!config.contains(key) || !config[key].is_object()) return std::nullopt;
  for (const auto& [pattern, value] : config[key].items()) {
    const bool ends_with = module == pattern || module.ends_with("." + pattern);
    if (ends_with) return value;
    if (module.size() > kMaxMatchedName || pattern.size() > kMaxMatchedName) continue;
    if (std::regex_match(module, std::regex("(.*\\.)?(" + pattern + ")"))) return value;
  }
  return std::nullopt;
}

OrderedJson ParseConfig(const std::string& text, const std::string& where) {
  int num_keys = 0;
  const auto guard = [&](int, OrderedJson::parse_event_t event, const OrderedJson&) {
    if (event == OrderedJson::parse_event_t::key && ++num_keys > kMaxConfigKeys) {
      throw InputError("{}: expected an adapter configuration of at most {} keys, found more", where, kMaxConfigKeys);
    }
    return true;
  };
  OrderedJson config = OrderedJson::parse(text, guard, /*allow_exceptions=*/false);
  if (!config.is_object()) throw InputError("{}: expected a JSON object, found {:.80}", where, text);
  return config;
}

}  // namespace

std::string ReadAdapterConfig(const TensorFile& checkpoint) {
  const fs::path path = ConfigPath(checkpoint);
  if (!fs::exists(path)) return "";
  std::ifstream file(path, std::ios::binary);
  if (!file || fs::file_size(path) > kMaxConfigBytes) {
    throw InputError("{}: expected peft's adapter configuration, found a file that is unreadable or above {} bytes",
                     path.string(), kMaxConfigBytes);
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

LoraScales::LoraScales(const TensorFile& checkpoint, const std::optional<double>& alpha)
    : checkpoint_(checkpoint), alpha_(alpha), config_where_(ConfigPath(checkpoint).string()) {
  if (alpha_) CheckedAlpha(*alpha_, "lora_alpha");
  std::string text = ReadAdapterConfig(checkpoint);
  const auto metadata = checkpoint.metadata().find(kMetadataKey);
  if (text.empty() && metadata != checkpoint.metadata().end()) {
    text = metadata->second;
    config_where_ = fmt::format("{}: __metadata__.{}", checkpoint.path().string(), kMetadataKey);
    is_by_component_ = true;
  }
  if (text.empty()) return;
  config_ = ParseConfig(text, config_where_);
  for (const auto& [key, value] : config_.items()) {
    if (value == true && (key.ends_with("use_dora") || key.ends_with("fan_in_fan_out"))) {
      throw InputError("{}: \"{}\": expected false, found true: such factors are not of the form W_0 + s B A",
                       config_where_, key);
    }
  }
}

double LoraScales::ScaleOf(const Pair& pair) const {
  const auto rank = static_cast<double>(pair.rank);
  if (!pair.alpha_tensor.empty()) return FromTensor(pair) / rank;
  if (alpha_) return *alpha_ / rank;
  if (pair.down.is_peft && config_.is_object()) return FromConfig(pair);
  if (!IsPeftModule(pair.down)) return 1;
  throw InputError(
      "{}: tensor \"{}\": expected alpha in {}, found no such file; copy it there or give --lora-alpha",  //
      checkpoint_.path().string(), pair.down_name, config_where_);
}

double LoraScales::FromTensor(const Pair& pair) const {
  const std::string where = fmt::format("{}: tensor \"{}\"", checkpoint_.path().string(), pair.alpha_tensor);
  if (alpha_) throw InputError("{}: the checkpoint has its own alpha; leave --lora-alpha out", where);
  const at::Tensor alpha = checkpoint_.Read(pair.alpha_tensor);
  if (alpha.numel() != 1) throw InputError("{}: expected one number, found {}", where, alpha.numel());
  return CheckedAlpha(alpha.to(at::kDouble).item<double>(), where);
}

double LoraScales::FromConfig(const Pair& pair) const {
  const LoraModule module = ModuleOf(pair.down);
  const OrderedJson config = is_by_component_ ? ConfigOfComponent(config_, module.component) : config_;
  try {
    OrderedJson alpha = config.at("lora_alpha"), rank = config.at("r");
    if (const auto entry = PatternEntry(config, "alpha_pattern", module.paths.front())) alpha = *entry;
    if (const auto entry = PatternEntry(config, "rank_pattern", module.paths.front())) rank = *entry;
    if (rank.get<std::int64_t>() != pair.rank) {
      throw InputError("{}: expected rank {} for \"{}\", found {} in {}", config_where_, rank.dump(), pair.down_name,
                       pair.rank, checkpoint_.path().string());
    }
    const double value = CheckedAlpha(alpha.get<double>(), config_where_ + ": lora_alpha");
    const auto r = static_cast<double>(pair.rank);
    return value / (config.value("use_rslora", false) ? std::sqrt(r) : r);
  } catch (const OrderedJson::exception& error) {
    throw InputError("{}: expected \"r\" and \"lora_alpha\" as numbers ({:.200})", config_where_, error.what());
  } catch (const std::regex_error& error) {
    throw InputError("{}: expected regular expressions as keys of alpha_pattern and rank_pattern ({})", config_where_,
                     error.what());
  }
}

}  // namespace lcsc
