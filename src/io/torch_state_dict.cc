#include "torch_state_dict.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "lcsc/base/error.h"
#include "torch_tensor.h"

namespace lcsc {
namespace {

constexpr int kMaxDepth = 16;  // of nested dicts and lists that are looked into

// A dict's or a list's children, with their names as a key has them.
std::vector<std::pair<std::string, PickleId>> ChildrenOf(const PickleTree& tree, PickleId id) {
  std::vector<std::pair<std::string, PickleId>> children;
  if (const auto* const dict = tree.As<PickleDict>(id)) {
    for (const auto& [key, value] : dict->items) {
      if (const auto* const text = tree.As<std::string>(key)) children.emplace_back(*text, value);
      if (const auto* const number = tree.As<std::int64_t>(key)) children.emplace_back(std::to_string(*number), value);
    }
  } else if (const auto* const list = tree.As<PickleSequence>(id)) {
    for (const PickleId item : list->items) children.emplace_back(std::to_string(children.size()), item);
  }
  return children;
}

bool IsContainer(const PickleTree& tree, PickleId id) {
  return tree.As<PickleDict>(id) != nullptr || tree.As<PickleSequence>(id) != nullptr;
}

// Collects the dicts of tensors at and below a value, each value once.
class Finder {
 public:
  explicit Finder(const PickleTree& tree) : tree_(tree), visited_(tree.values.size()) {}

  void Visit(PickleId id, const std::string& key, int depth) {
    if (depth > kMaxDepth || visited_[id] || !IsContainer(tree_, id)) return;
    visited_[id] = true;
    std::int64_t num_tensors = 0;
    for (const auto& [name, child] : ChildrenOf(tree_, id)) {
      if (IsTensor(tree_, child)) ++num_tensors;
      Visit(child, key.empty() ? name : key + "." + name, depth + 1);
    }
    if (num_tensors > 0 && tree_.As<PickleDict>(id) != nullptr) places_.push_back({key, num_tensors});
  }

  std::vector<StateDictPlace> Sorted() && {
    std::ranges::stable_sort(places_, std::ranges::greater{}, &StateDictPlace::num_tensors);
    return std::move(places_);
  }

 private:
  const PickleTree& tree_;
  std::vector<bool> visited_;
  std::vector<StateDictPlace> places_;
};

std::string CandidatesText(const std::vector<StateDictPlace>& places) {
  constexpr std::size_t kShown = 8;
  std::vector<std::string> texts;
  for (const StateDictPlace& place : places) {
    if (texts.size() == kShown) break;
    const std::string name = place.key.empty() ? "the top itself" : fmt::format("\"{}\"", place.key);
    texts.push_back(fmt::format("{} ({} {})", name, place.num_tensors, place.num_tensors == 1 ? "tensor" : "tensors"));
  }
  const std::string more = places.size() > kShown ? fmt::format(" and {} more", places.size() - kShown) : "";
  return fmt::format("{}{}", fmt::join(texts, ", "), more);
}

[[noreturn]] void RefuseKey(const PickleTree& tree, const StateDictRequest& request, const std::string& found) {
  const std::vector<StateDictPlace> places = FindStateDicts(tree);
  if (places.empty()) {
    throw InputError("{}: expected a dict of tensors, found none at any depth; save model.state_dict()", request.path);
  }
  throw InputError("{}: expected a dict of tensors at {}, found {}; choose one with --key: {}", request.path,
                   request.key.empty() ? "the top" : fmt::format("the key \"{}\"", request.key), found,
                   CandidatesText(places));
}

std::string InsideText(const StateDictRequest& request, const TorchStateDict& state) {
  if (state.tensors.empty()) return "dicts of tensors inside it";
  return fmt::format("dicts of tensors inside it beside its own {}, which --key {}. means", state.tensors.size(),
                     request.key);
}

// The values from the top to the one that the rest of the key names. Keys may contain dots themselves: the longest name
// that fits is tried first.
std::optional<std::vector<PickleId>> Follow(const PickleTree& tree, PickleId from, const std::string& rest) {
  if (rest.empty()) return std::vector<PickleId>{from};
  const auto children = ChildrenOf(tree, from);
  for (std::size_t end = rest.size(); end != std::string::npos && end > 0; end = rest.rfind('.', end - 1)) {
    const std::string name = rest.substr(0, end);
    const auto child = std::ranges::find(children, name, &std::pair<std::string, PickleId>::first);
    if (child != children.end()) {
      auto below = Follow(tree, child->second, end == rest.size() ? "" : rest.substr(end + 1));
      if (below) {
        below->insert(below->begin(), from);
        return below;
      }
    }
  }
  return std::nullopt;
}

std::optional<std::int64_t> StepIn(const PickleTree& tree, PickleId id) {
  if (tree.As<PickleDict>(id) == nullptr) return std::nullopt;
  for (const auto& [name, value] : ChildrenOf(tree, id)) {
    const auto* const step = tree.As<std::int64_t>(value);
    if (name == "step" && step != nullptr) return *step;
  }
  return std::nullopt;
}

}  // namespace

std::vector<StateDictPlace> FindStateDicts(const PickleTree& tree) {
  Finder finder(tree);
  finder.Visit(tree.root, "", 0);
  return std::move(finder).Sorted();
}

TorchStateDict SelectStateDict(const PickleTree& tree, const StateDictRequest& request) {
  const bool is_alone = request.key.ends_with('.');  // "." or "state.": what lies in the dict itself
  const auto way = Follow(tree, tree.root, request.key.substr(0, request.key.size() - (is_alone ? 1 : 0)));
  if (!way) RefuseKey(tree, request, "no such entry");
  const PickleId selected = way->back();
  if (IsTensor(tree, selected)) RefuseKey(tree, request, "a single tensor");
  if (tree.As<PickleDict>(selected) == nullptr) RefuseKey(tree, request, "something else");
  TorchStateDict state;
  std::set<std::string> names;
  Finder below(tree);  // one for all values, so that shared ones are visited once
  for (const auto& [key, value] : tree.As<PickleDict>(selected)->items) {
    if (!IsTensor(tree, value)) {
      below.Visit(value, "", 1);
      continue;
    }
    const auto* const name = tree.As<std::string>(key);
    if (name == nullptr) throw InputError("{}: expected names of tensors as text, found another key", request.path);
    if (!names.insert(*name).second) throw InputError("{}: tensor \"{}\" stands twice", request.path, *name);
    state.tensors.push_back(ParseTensor(tree, value, {*name, request.path}));
  }
  if (!is_alone && !std::move(below).Sorted().empty()) RefuseKey(tree, request, InsideText(request, state));
  if (state.tensors.empty()) RefuseKey(tree, request, "no tensor in it");
  std::ranges::sort(state.tensors, {}, [](const StoredTensor& tensor) { return tensor.entry.name; });
  for (const PickleId id : *way) {
    if (const auto step = StepIn(tree, id)) state.metadata["step"] = std::to_string(*step);
  }
  return state;
}

}  // namespace lcsc
