#include "lora_targets.h"

#include <algorithm>
#include <map>
#include <set>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

// A way to read a module's name: the tensor, and what its own name has in front of the module's.
struct Reading {
  std::string prefix;
  const TensorEntry* target;
  auto operator<=>(const Reading&) const = default;
};

// Every weight of the base model by every end of its module's path that begins with a whole component.
class WeightIndex {
 public:
  explicit WeightIndex(const TensorFile& base_model) {
    constexpr std::string_view kWeight = ".weight";
    constexpr std::size_t kLongestName = 4096;
    for (const TensorEntry& entry : base_model.entries()) {
      if (!entry.name.ends_with(kWeight)) continue;
      if (entry.name.size() > kLongestName) {  // every end of it is kept
        throw InputError("{}: a tensor's name has {} characters; expected at most {}", base_model.path().string(),
                         entry.name.size(), kLongestName);
      }
      const std::string module = entry.name.substr(0, entry.name.size() - kWeight.size());
      for (std::size_t begin = 0;;) {
        const std::string end = module.substr(begin);
        dotted_[end].push_back({module.substr(0, begin), &entry});
        flattened_[Flattened(end)].push_back({module.substr(0, begin), &entry});
        const std::size_t dot = module.find('.', begin);
        if (dot == std::string::npos) break;
        begin = dot + 1;
      }
    }
  }

  std::set<Reading> ReadingsOf(const LoraModule& module, bool with_component) const {
    const char separator = module.is_flattened ? '_' : '.';
    const auto& index = module.is_flattened ? flattened_ : dotted_;
    std::set<Reading> readings;
    for (std::string path : module.paths) {
      if (with_component && !module.component.empty()) path = module.component + separator + path;
      const auto found = index.find(path);
      if (found != index.end()) readings.insert(found->second.begin(), found->second.end());
    }
    return readings;
  }

 private:
  std::map<std::string, std::vector<Reading>> dotted_, flattened_;
};

// The targets, or why there are none.
struct Attempt {
  std::vector<TensorEntry> targets;
  std::string problem;
};

std::string AmbiguityOf(const std::string& factor, const TensorEntry& one, const TensorEntry& other) {
  return fmt::format("tensor \"{}\" is ambiguous: it may belong to \"{}\" or to \"{}\"", factor, one.name, other.name);
}

// Reads all modules with one prefix: the empty one if it serves all, else the only one that does.
Attempt TryReading(const std::vector<NamedLoraModule>& modules, const WeightIndex& index, bool with_component) {
  std::vector<std::set<Reading>> readings;
  std::set<std::string> common;
  for (const NamedLoraModule& module : modules) {
    readings.push_back(index.ReadingsOf(module.module, with_component));
    std::set<std::string> prefixes;
    for (const Reading& reading : readings.back()) prefixes.insert(reading.prefix);
    if (readings.size() > 1)
      std::erase_if(prefixes, [&](const std::string& prefix) { return !common.contains(prefix); });
    common = std::move(prefixes);
    if (common.empty()) return {{}, fmt::format("tensor \"{}\" belongs to none of its tensors", module.factor)};
  }
  if (common.size() > 1 && !common.contains("")) {
    std::set<Reading>& first = readings.front();
    std::erase_if(first, [&](const Reading& reading) { return !common.contains(reading.prefix); });
    return {{}, AmbiguityOf(modules.front().factor, *first.begin()->target, *first.rbegin()->target)};
  }
  const std::string prefix = common.contains("") ? "" : *common.begin();
  Attempt attempt;
  for (std::size_t i = 0; i < modules.size(); ++i) {
    std::erase_if(readings[i], [&](const Reading& reading) { return reading.prefix != prefix; });
    const Reading &one = *readings[i].begin(), &other = *readings[i].rbegin();
    if (one.target != other.target) return {{}, AmbiguityOf(modules[i].factor, *one.target, *other.target)};
    attempt.targets.push_back(*one.target);
  }
  return attempt;
}

}  // namespace

std::vector<TensorEntry> FindLoraTargets(const std::vector<NamedLoraModule>& modules, const TensorFile& checkpoint,
                                         const TensorFile& base_model) {
  const WeightIndex index(base_model);
  std::set<std::string> components;
  for (const NamedLoraModule& module : modules) components.insert(module.module.component);
  Attempt attempt = TryReading(modules, index, /*with_component=*/true);
  if (!attempt.problem.empty() && components.size() == 1 && !components.contains("")) {
    attempt = TryReading(modules, index, /*with_component=*/false);
  }
  if (!attempt.problem.empty()) {
    const std::string parts =
        components.size() < 2 ? "" : fmt::format(" (the checkpoint has factors for {})", fmt::join(components, ", "));
    throw InputError(
        "{}: {}{}; expected the base model {} to have the tensor MODULE.weight of every factor exactly once",
        checkpoint.path().string(), attempt.problem, parts, base_model.path().string());
  }
  return std::move(attempt.targets);
}

}  // namespace lcsc
