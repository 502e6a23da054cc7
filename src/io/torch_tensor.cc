#include "torch_tensor.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <set>

#include "lcsc/base/error.h"
#include "pickle_globals.h"

namespace lcsc {
namespace {

constexpr std::size_t kMaxDimensions = 64;
constexpr int kMaxWrappers = 4;  // Parameter(Parameter(tensor))

enum class TensorCall { kTensor, kTyped, kParameter };
struct TensorCallName {
  std::string_view name;
  TensorCall call;
  std::size_t min_arguments;
};
constexpr std::array<TensorCallName, 5> kTensorCalls = {{
    {"torch._utils._rebuild_tensor", TensorCall::kTensor, 4},
    {"torch._utils._rebuild_tensor_v2", TensorCall::kTensor, 4},
    {"torch._utils._rebuild_tensor_v3", TensorCall::kTyped, 7},
    {"torch._utils._rebuild_parameter", TensorCall::kParameter, 1},
    {"torch._utils._rebuild_parameter_with_state", TensorCall::kParameter, 1},
}};

const TensorCallName* FindTensorCall(const PickleTree& tree, PickleId id) {
  const auto* const call = tree.As<PickleCall>(id);
  if (call == nullptr) return nullptr;
  const auto* const found = std::ranges::find(kTensorCalls, call->name, &TensorCallName::name);
  return found == kTensorCalls.end() ? nullptr : found;
}

// a * b, or nothing when that is more than 2^63 - 1. REQUIRES: both >= 0.
std::optional<std::int64_t> Product(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

class TensorParser {
 public:
  TensorParser(const PickleTree& tree, const TensorPlace& place) : tree_(tree), place_(place) {}

  StoredTensor Parse(PickleId id) {
    const TensorCallName* call = FindTensorCall(tree_, id);
    for (int i = 0; call != nullptr && call->call == TensorCall::kParameter; ++i) {
      if (i == kMaxWrappers) Refuse("it is wrapped too deeply");
      id = ArgumentsOf(id, *call)[0];
      call = FindTensorCall(tree_, id);
    }
    if (call == nullptr) Refuse("expected a tensor in a parameter");
    const std::vector<PickleId>& arguments = ArgumentsOf(id, *call);
    StoredTensor tensor;
    tensor.entry.name = place_.name;
    ReadStorage(arguments[0], tensor);
    if (call->call == TensorCall::kTyped) ReadType(arguments[6], tensor);
    tensor.storage_offset = Count(arguments[1], "offset");
    tensor.entry.shape = Counts(arguments[2], "shape");
    tensor.strides = Counts(arguments[3], "strides");
    CheckBounds(tensor);
    return tensor;
  }

 private:
  [[noreturn]] void Refuse(const std::string& reason) const {
    throw InputError("{}: tensor \"{}\": {}; save or copy the file again", place_.path, place_.name, reason);
  }

  const std::vector<PickleId>& ArgumentsOf(PickleId id, const TensorCallName& call) const {
    const auto* const arguments = tree_.As<PickleSequence>(tree_.As<PickleCall>(id)->arguments);
    if (arguments == nullptr || arguments->items.size() < call.min_arguments) {
      Refuse(fmt::format("expected {} arguments of {}", call.min_arguments, call.name));
    }
    return arguments->items;
  }

  std::int64_t Count(PickleId id, const char* what) const {
    const auto* const number = tree_.As<std::int64_t>(id);
    if (number == nullptr || *number < 0) Refuse(fmt::format("expected a {} of integers >= 0", what));
    return *number;
  }

  std::vector<std::int64_t> Counts(PickleId id, const char* what) const {
    // A torch.Size is a call with the tuple as its argument.
    if (const auto* const call = tree_.As<PickleCall>(id); call != nullptr && call->name == "torch.Size") {
      const auto* const arguments = tree_.As<PickleSequence>(call->arguments);
      if (arguments != nullptr && arguments->items.size() == 1) id = arguments->items[0];
    }
    const auto* const list = tree_.As<PickleSequence>(id);
    if (list == nullptr || list->items.size() > kMaxDimensions) {
      Refuse(fmt::format("expected a {} of at most {} dimensions", what, kMaxDimensions));
    }
    std::vector<std::int64_t> counts;
    for (const PickleId item : list->items) counts.push_back(Count(item, what));
    return counts;
  }

  // ('storage', class, key, location, number of elements[, view])
  void ReadStorage(PickleId id, StoredTensor& tensor) const {
    const auto* const persistent = tree_.As<PicklePersistentId>(id);
    const auto* const parts = persistent == nullptr ? nullptr : tree_.As<PickleSequence>(persistent->id);
    if (parts == nullptr || parts->items.size() < 5) Refuse("expected a storage");
    const auto* const kind = tree_.As<std::string>(parts->items[0]);
    const auto* const type = tree_.As<PickleGlobal>(parts->items[1]);
    const auto* const key = tree_.As<std::string>(parts->items[2]);
    if (kind == nullptr || *kind != "storage" || type == nullptr || key == nullptr) Refuse("expected a storage");
    if (parts->items.size() > 5 && tree_.As<PickleNone>(parts->items[5]) == nullptr) {
      Refuse("a storage that is a view of another is not read");
    }
    tensor.storage_key = *key;
    tensor.storage_elements = Count(parts->items[4], "storage size");
    if (type->name.ends_with("UntypedStorage")) {
      tensor.entry.type = DataType::kUInt8;  // counted in bytes until a dtype is known
      return;
    }
    const std::optional<DataType> data_type = StorageDataType(type->name);
    if (!data_type) RefuseType(type->name);
    tensor.entry.type = *data_type;
  }

  void ReadType(PickleId id, StoredTensor& tensor) const {
    const auto* const global = tree_.As<PickleGlobal>(id);
    const std::optional<DataType> type = global == nullptr ? std::nullopt : TorchDataType(global->name);
    if (!type) RefuseType(global == nullptr ? "unknown" : global->name);
    const std::optional<std::int64_t> bytes = Product(tensor.storage_elements, BytesPerElement(tensor.entry.type));
    if (!bytes || *bytes % BytesPerElement(*type) != 0) Refuse("its storage is no whole number of elements");
    tensor.storage_elements = *bytes / BytesPerElement(*type);
    tensor.entry.type = *type;
  }

  [[noreturn]] void RefuseType(std::string_view name) const {
    throw InputError(
        "{}: tensor \"{}\": expected a real floating-point, integer or bool type, found {}; convert it to one of them "
        "before saving",
        place_.path, place_.name, name);
  }

  void CheckBounds(const StoredTensor& tensor) const {
    if (tensor.strides.size() != tensor.entry.shape.size()) Refuse("it has not as many strides as dimensions");
    std::int64_t elements = 1, last = tensor.storage_offset;
    bool fits = true;
    for (std::size_t i = 0; fits && i < tensor.strides.size(); ++i) {
      const std::int64_t size = tensor.entry.shape[i];
      const auto grown = Product(elements, std::max<std::int64_t>(size, 1));  // no overflow hides behind a 0
      const auto reach = Product(std::max<std::int64_t>(size - 1, 0), tensor.strides[i]);
      fits = grown && reach && !__builtin_add_overflow(last, *reach, &last);
      elements = grown.value_or(0);
    }
    const bool is_empty = std::ranges::count(tensor.entry.shape, 0) > 0;
    const bool inside = is_empty ? tensor.storage_offset <= tensor.storage_elements : last < tensor.storage_elements;
    if (!fits || !inside) {
      Refuse(fmt::format("shape {}, strides {} and offset {} reach outside its storage of {} elements",
                         ShapeText(tensor.entry.shape), ShapeText(tensor.strides), tensor.storage_offset,
                         tensor.storage_elements));
    }
  }

  const PickleTree& tree_;
  const TensorPlace& place_;
};

}  // namespace

bool IsTensor(const PickleTree& tree, PickleId id) { return FindTensorCall(tree, id) != nullptr; }

StoredTensor ParseTensor(const PickleTree& tree, PickleId id, const TensorPlace& place) {
  return TensorParser(tree, place).Parse(id);
}

bool StoredTensor::IsContiguous() const {
  if (Extent() == 0) return true;
  std::int64_t expected = 1;
  for (std::size_t i = strides.size(); i > 0; --i) {
    if (entry.shape[i - 1] != 1 && strides[i - 1] != expected) return false;
    expected *= entry.shape[i - 1];
  }
  return true;
}

std::int64_t StoredTensor::Extent() const {
  std::int64_t extent = 1;
  for (std::size_t i = 0; i < strides.size(); ++i) {
    if (entry.shape[i] == 0) return 0;
    extent += (entry.shape[i] - 1) * strides[i];
  }
  return extent;
}

}  // namespace lcsc
