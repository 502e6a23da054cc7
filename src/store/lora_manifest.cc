#include "lora_manifest.h"

#include <algorithm>
#include <cmath>

#include "lcsc/base/error.h"
#include "manifest_check.h"

namespace lcsc {
namespace {

[[noreturn]] void Refuse(const Hdf5Group& group, const std::string& reason) { RefuseManifest(group.path(), reason); }

std::vector<std::int64_t> ParseTarget(const Hdf5Group& group, const std::string& name, const std::string& text) {
  std::vector<std::int64_t> shape = ParseShape(group.path(), name, text);
  const bool sound = shape.size() >= 2 && std::ranges::all_of(shape, [](std::int64_t size) { return size > 0; });
  if (!sound) Refuse(group, fmt::format("a LoRA target has the shape {}", text));
  return shape;
}

// The rank of a layer whose factors are in the table and fit its target.
std::int64_t RankOf(const Hdf5Group& group, const TensorTable& table, const LoraLayer& layer) {
  const auto find = [&](const std::string& name) {
    const auto entry = std::ranges::lower_bound(table.entries(), name, {}, &TensorEntry::name);
    if (entry == table.entries().end() || entry->name != name) Refuse(group, fmt::format("no tensor \"{}\"", name));
    return entry;
  };
  const std::vector<std::int64_t>&a = find(layer.down)->shape, &b = find(layer.up)->shape, &w = layer.target.shape;
  const bool fits = a.size() == w.size() && b.size() == w.size() && a[0] == b[1] && b[0] == w[0] && a[1] == w[1] &&
                    std::equal(a.begin() + 2, a.end(), w.begin() + 2) && a[0] > 0 &&
                    std::all_of(b.begin() + 2, b.end(), [](std::int64_t size) { return size == 1; });
  if (!fits) Refuse(group, fmt::format("\"{}\" and \"{}\" do not fit \"{}\"", layer.down, layer.up, layer.target.name));
  return a[0];
}

DataType ParseType(const Hdf5Group& group, const std::string& name) {
  try {
    return DataTypeFromName(name);
  } catch (const InputError& error) {
    Refuse(group, error.what());
  }
}

}  // namespace

void WriteLora(Hdf5Group group, const LoraDescription& lora) {
  std::vector<std::string> targets, types, shapes, downs, ups, alphas;
  std::vector<double> scales;
  for (const LoraLayer& layer : lora.layers) {
    targets.push_back(layer.target.name);
    types.emplace_back(DataTypeName(layer.target.type));
    shapes.push_back(ShapeText(layer.target.shape));
    downs.push_back(layer.down);
    ups.push_back(layer.up);
    alphas.push_back(layer.alpha);
    scales.push_back(layer.scale);
  }
  std::vector<std::string> base = {lora.base_model.string(), lora.base_digest, lora.adapter_config};
  if (!lora.base_key.empty()) base.push_back(lora.base_key);
  group.WriteTexts("base", base);
  group.WriteTexts("targets", targets);
  group.WriteTexts("types", types);
  group.WriteTexts("shapes", shapes);
  group.WriteTexts("downs", downs);
  group.WriteTexts("ups", ups);
  group.WriteTexts("alphas", alphas);
  group.Write<double>("scales", scales);
}

LoraDescription ReadLora(const Hdf5Group& group, const TensorTable& table) {
  const auto base = group.ReadTexts("base"), targets = group.ReadTexts("targets"), types = group.ReadTexts("types");
  const auto shapes = group.ReadTexts("shapes"), downs = group.ReadTexts("downs"), ups = group.ReadTexts("ups");
  const auto alphas = group.ReadTexts("alphas");
  const auto scales = group.Read<double>("scales").values;
  const std::size_t count = targets.size();
  for (const std::size_t size : {types.size(), shapes.size(), downs.size(), ups.size(), alphas.size(), scales.size()}) {
    if (size != count || base.size() < 3 || base.size() > 4) Refuse(group, "lists of unequal length");
  }
  LoraDescription lora{.base_model = base[0],
                       .base_digest = base[1],
                       .base_key = base.size() == 4 ? base[3] : "",
                       .adapter_config = base[2],
                       .layers = {}};
  std::int64_t num_elements = 0;
  for (std::size_t i = 0; i < count; ++i) {
    LoraLayer layer;
    layer.target.name = targets[i];
    layer.target.type = ParseType(group, types[i]);
    layer.target.shape = ParseTarget(group, targets[i], shapes[i]);
    num_elements += layer.target.num_elements();
    if (num_elements > kMostElements) Refuse(group, "its LoRA targets have too many elements");
    layer.down = downs[i];
    layer.up = ups[i];
    layer.alpha = alphas[i];
    layer.scale = scales[i];
    layer.rank = RankOf(group, table, layer);
    if (!std::isfinite(layer.scale)) Refuse(group, fmt::format("\"{}\" has the scale {}", targets[i], layer.scale));
    lora.layers.push_back(std::move(layer));
  }
  if (lora.layers.empty()) Refuse(group, "no LoRA layers");
  if (!std::ranges::is_sorted(targets)) Refuse(group, "LoRA layers out of order");
  return lora;
}

}  // namespace lcsc
