#include "lora_layers.h"

#include <algorithm>
#include <map>
#include <set>

#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lora_names.h"
#include "lora_scale.h"
#include "lora_targets.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

// One adapter's tensors of one module.
struct PairOfNames {
  LoraTensorName down;
  const TensorEntry* a = nullptr;
  const TensorEntry* b = nullptr;
};

struct NamesOfFile {
  std::map<std::pair<std::string, std::string>, PairOfNames> pairs;  // by module and adapter
  std::map<std::string, std::string> alphas;                         // tensor name by module
};

NamesOfFile SortNames(const TensorFile& checkpoint) {
  NamesOfFile names;
  const std::string where = checkpoint.path().string();
  for (const TensorEntry& entry : checkpoint.entries()) {
    const auto name = ParseLoraTensorName(entry.name);
    if (!name) {
      throw InputError(
          "{}: tensor \"{}\": expected only LoRA factors (lora_A and lora_B, lora.down and lora.up, lora_down and "
          "lora_up) and alphas; other changes to the base model cannot be merged",
          where, entry.name);
    }
    if (name->role == LoraRole::kAlpha) {
      names.alphas[name->module] = entry.name;
      continue;
    }
    PairOfNames& pair = names.pairs[{name->module, name->adapter}];
    const TensorEntry*& place = name->role == LoraRole::kDown ? pair.a : pair.b;
    if (place != nullptr) throw InputError("{}: \"{}\" and \"{}\" are the same factor", where, place->name, entry.name);
    place = &entry;
    pair.down = *name;
  }
  for (const auto& [key, pair] : names.pairs) {
    const TensorEntry* present = pair.a != nullptr ? pair.a : pair.b;
    if (pair.a == nullptr || pair.b == nullptr) {
      throw InputError("{}: tensor \"{}\": expected a pair of factors, found no other half", where, present->name);
    }
  }
  return names;
}

void CheckFloatingPoint(const TensorFile& file, const TensorEntry& entry) {
  if (IsFloatingPoint(entry.type)) return;
  throw InputError("{}: tensor \"{}\": expected floating-point numbers, found {}", file.path().string(), entry.name,
                   DataTypeName(entry.type));
}

// A [r, in, ...] and B [out, r, 1, ...] for a target [out, in, ...].
void CheckShapes(const TensorFile& checkpoint, const PairOfNames& pair, const TensorEntry& target) {
  const std::vector<std::int64_t>&a = pair.a->shape, &b = pair.b->shape, &w = target.shape;
  bool fits = w.size() >= 2 && target.num_elements() > 0 && a.size() == w.size() && b.size() == w.size();
  if (fits) {
    std::vector<std::int64_t> wanted_a = w, wanted_b(w.size(), 1);
    wanted_a[0] = wanted_b[1] = a[0];
    wanted_b[0] = w[0];
    fits = a[0] > 0 && a == wanted_a && b == wanted_b;
  }
  if (fits) return;
  throw InputError(
      "{}: \"{}\" {} and \"{}\" {} do not fit \"{}\" {}; expected [r, in] and [out, r], or [r, in, k, k] and "
      "[out, r, 1, 1], for [out, in] or [out, in, k, k]",
      checkpoint.path().string(), pair.a->name, ShapeText(a), pair.b->name, ShapeText(b), target.name, ShapeText(w));
}

void CheckTargetsDiffer(const TensorFile& checkpoint, const std::vector<LoraLayer>& layers) {
  const auto target = [](const LoraLayer& layer) -> const std::string& { return layer.target.name; };
  const auto twice = std::ranges::adjacent_find(layers, {}, target);
  if (twice == layers.end()) return;
  throw InputError("{}: \"{}\" and \"{}\" both belong to \"{}\"; save one adapter per checkpoint",
                   checkpoint.path().string(), twice->down, std::next(twice)->down, twice->target.name);
}

// Throws when the layers of the checkpoint are not those that `source` has.
void CheckSameLayers(const std::vector<LoraLayer>& expected, const std::string& source,
                     const std::vector<LoraLayer>& found, const TensorFile& checkpoint) {
  const auto target = [](const LoraLayer& layer) -> const std::string& { return layer.target.name; };
  const std::string where = checkpoint.path().string();
  for (const LoraLayer& layer : expected) {
    const auto same = std::ranges::lower_bound(found, layer.target.name, {}, target);
    if (same == found.end() || same->target.name != layer.target.name) {
      throw InputError(
          "{}: expected LoRA factors for \"{}\" (\"{}\") as in {}, found none; pack checkpoints of one run", where,
          layer.target.name, layer.down, source);
    }
    if (same->rank != layer.rank) {
      throw InputError("{}: \"{}\" for \"{}\": expected rank {} as in {}, found {}; pack checkpoints of one run", where,
                       same->down, layer.target.name, layer.rank, source, same->rank);
    }
    if (same->scale != layer.scale) {
      throw InputError("{}: \"{}\" for \"{}\": expected the scale alpha / r = {} as in {}, found {}", where, same->down,
                       layer.target.name, layer.scale, source, same->scale);
    }
    if (*same != layer) {
      throw InputError("{}: expected the names \"{}\" and \"{}\" as in {}, found \"{}\" and \"{}\"", where, layer.down,
                       layer.up, source, same->down, same->up);
    }
  }
  for (const LoraLayer& layer : found) {
    const auto same = std::ranges::lower_bound(expected, layer.target.name, {}, target);
    if (same != expected.end() && same->target.name == layer.target.name) continue;
    throw InputError("{}: found LoRA factors for \"{}\" (\"{}\"), which {} lacks; pack checkpoints of one run", where,
                     layer.target.name, layer.down, source);
  }
}

void CheckKind(const LoraSource& source, const Trajectory& packed, const std::vector<Checkpoint>& checkpoints) {
  const bool is_lora = HoldsLoraFactors(checkpoints.front().file->entries());
  const std::string first = checkpoints.front().file->path().string();
  for (const Checkpoint& checkpoint : checkpoints) {
    if (HoldsLoraFactors(checkpoint.file->entries()) == is_lora) continue;
    throw InputError("{} and {}: one holds LoRA factors, the other full weights; pack checkpoints of one run", first,
                     checkpoint.file->path().string());
  }
  if (!packed.steps.empty() && packed.lora.has_value() != is_lora) {
    throw InputError("{}: expected {} as in {}, found {}; pack it into another folder", first,
                     packed.lora ? "LoRA factors" : "full weights", packed.folder.string(),
                     is_lora ? "LoRA factors" : "full weights");
  }
  if (!source.base_key.empty() && !source.base_model) {
    throw ConfigError("--base-model-key: expected --base-model beside it, found none");
  }
  if (!is_lora && (source.base_model || source.alpha)) {
    throw ConfigError("{}: {}: expected checkpoints of LoRA factors, found full weights; leave the option out",
                      source.base_model ? "--base-model" : "--lora-alpha", first);
  }
}

std::unique_ptr<TensorFile> OpenSource(const LoraSource& source) {
  try {
    return OpenTensorFile(*source.base_model, {.key = source.base_key});
  } catch (const InputError& error) {
    constexpr std::string_view kKey = "--key";
    std::string message = error.what();
    if (const std::size_t place = message.find(kKey); place != std::string::npos) {
      message.replace(place, kKey.size(), "--base-model-key");
    }
    throw InputError("{}", message);
  }
}

}  // namespace

std::vector<LoraLayer> MatchLoraLayers(const TensorFile& checkpoint, const TensorFile& base_model,
                                       const std::optional<double>& alpha) {
  NamesOfFile names = SortNames(checkpoint);
  std::vector<NamedLoraModule> modules;
  for (const auto& [key, pair] : names.pairs) modules.push_back({pair.a->name, ModuleOf(pair.down)});
  const std::vector<TensorEntry> targets = FindLoraTargets(modules, checkpoint, base_model);
  const LoraScales scales(checkpoint, alpha);
  std::vector<LoraLayer> layers;
  for (const auto& [key, pair] : names.pairs) {
    LoraLayer layer{.target = targets[layers.size()], .down = pair.a->name, .up = pair.b->name, .alpha = ""};
    layer.target.offset = 0;
    CheckFloatingPoint(base_model, layer.target);
    CheckFloatingPoint(checkpoint, *pair.a);
    CheckFloatingPoint(checkpoint, *pair.b);
    CheckShapes(checkpoint, pair, layer.target);
    if (const auto found = names.alphas.find(key.first); found != names.alphas.end()) layer.alpha = found->second;
    layer.rank = pair.a->shape[0];
    layer.scale = scales.ScaleOf({pair.down, pair.a->name, layer.alpha, layer.rank});
    layers.push_back(std::move(layer));
  }
  for (const LoraLayer& layer : layers) {
    std::erase_if(names.alphas, [&](const auto& alpha_of) { return alpha_of.second == layer.alpha; });
  }
  if (!names.alphas.empty()) {
    throw InputError("{}: tensor \"{}\": expected the alpha of a pair of factors, found no such pair",
                     checkpoint.path().string(), names.alphas.begin()->second);
  }
  std::ranges::sort(layers, {}, [](const LoraLayer& layer) { return layer.target.name; });
  CheckTargetsDiffer(checkpoint, layers);
  return layers;
}

std::optional<LoraDescription> DescribeLora(const LoraSource& source, const Trajectory& packed,
                                            const std::vector<Checkpoint>& checkpoints) {
  CheckKind(source, packed, checkpoints);
  const TensorFile& first = *checkpoints.front().file;
  if (!HoldsLoraFactors(first.entries())) return std::nullopt;
  if (!source.base_model && !packed.lora) {
    throw InputError(
        "{}: holds LoRA factors; expected the weights of the network that they change, give them with "
        "--base-model FILE",
        first.path().string());
  }
  LoraDescription lora;
  std::unique_ptr<TensorFile> base_model;
  if (source.base_model) {
    base_model = OpenSource(source);
    lora.base_digest = DigestOfFile(*source.base_model);
    lora.base_key = source.base_key;
    if (packed.lora && (packed.lora->base_digest != lora.base_digest || packed.lora->base_key != lora.base_key)) {
      throw InputError(
          "{}: expected the base model of {} with digest {} and key \"{}\", found {} and \"{}\"; pack into another "
          "folder",
          base_model->path().string(), packed.folder.string(), packed.lora->base_digest, packed.lora->base_key,
          lora.base_digest, lora.base_key);
    }
  } else {
    base_model = OpenBaseModel(*packed.lora, packed.folder);
    lora.base_digest = packed.lora->base_digest;
    lora.base_key = packed.lora->base_key;
  }
  lora.base_model = fs::absolute(base_model->path()).lexically_normal();
  lora.adapter_config = packed.lora ? packed.lora->adapter_config : ReadAdapterConfig(first);
  lora.layers = packed.lora ? packed.lora->layers : MatchLoraLayers(first, *base_model, source.alpha);
  const std::string expected_from = packed.lora ? packed.folder.string() : first.path().string();
  for (const Checkpoint& checkpoint : checkpoints) {
    const TensorFile& file = *checkpoint.file;
    CheckSameLayers(lora.layers, expected_from, MatchLoraLayers(file, *base_model, source.alpha), file);
  }
  return lora;
}

TensorSplit SplitLoraTensors(const std::vector<TensorEntry>& entries, const LoraDescription& lora) {
  std::set<std::string> factors;
  for (const LoraLayer& layer : lora.layers) factors.insert({layer.down, layer.up});
  std::vector<TensorEntry> merged, carried;
  for (const TensorEntry& entry : entries) (factors.contains(entry.name) ? merged : carried).push_back(entry);
  return {TensorTable(std::move(merged)), std::move(carried)};
}

}  // namespace lcsc
