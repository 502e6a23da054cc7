#include "pickle_globals.h"

#include <algorithm>
#include <array>

namespace lcsc {
namespace {

constexpr std::array kAllowed = std::to_array<AllowedGlobal>({
    {"collections.OrderedDict", GlobalRole::kDict},
    {"collections.defaultdict", GlobalRole::kDict},
    {"collections.Counter", GlobalRole::kDict},
    {"builtins.dict", GlobalRole::kDict},
    {"argparse.Namespace", GlobalRole::kNamespace},
    {"copyreg._reconstructor", GlobalRole::kReconstructor},
    {"builtins.object", GlobalRole::kInert},
    {"builtins.list", GlobalRole::kInert},
    {"builtins.int", GlobalRole::kInert},
    {"builtins.float", GlobalRole::kInert},
    {"builtins.set", GlobalRole::kCall},
    {"builtins.frozenset", GlobalRole::kCall},
    {"builtins.bytearray", GlobalRole::kCall},
    {"builtins.complex", GlobalRole::kCall},
    {"builtins.slice", GlobalRole::kCall},
    {"_codecs.encode", GlobalRole::kCall},
    {"numpy.dtype", GlobalRole::kCall},
    {"numpy.core.multiarray.scalar", GlobalRole::kCall},
    {"numpy._core.multiarray.scalar", GlobalRole::kCall},
    {"torch.Size", GlobalRole::kCall},
    {"torch.device", GlobalRole::kCall},
    {"torch._utils._rebuild_tensor", GlobalRole::kCall},
    {"torch._utils._rebuild_tensor_v2", GlobalRole::kCall},
    {"torch._utils._rebuild_tensor_v3", GlobalRole::kCall},
    {"torch._utils._rebuild_parameter", GlobalRole::kCall},
    {"torch._utils._rebuild_parameter_with_state", GlobalRole::kCall},
    {"torch.storage.UntypedStorage", GlobalRole::kInert},
    {"torch.storage._UntypedStorage", GlobalRole::kInert},
    {"torch.UntypedStorage", GlobalRole::kInert},
    {"torch.storage.TypedStorage", GlobalRole::kInert},
    {"torch.storage._TypedStorage", GlobalRole::kInert},
});

// Types that are mentioned by torch's own names: storages and dtypes. `type` is none where no tensor of it is read.
struct TorchType {
  std::string_view storage;
  std::string_view dtype;
  std::optional<DataType> type;
};
constexpr std::array kTorchTypes = std::to_array<TorchType>({
    {"torch.DoubleStorage", "torch.float64", DataType::kFloat64},
    {"torch.FloatStorage", "torch.float32", DataType::kFloat32},
    {"torch.HalfStorage", "torch.float16", DataType::kFloat16},
    {"torch.BFloat16Storage", "torch.bfloat16", DataType::kBFloat16},
    {"torch.LongStorage", "torch.int64", DataType::kInt64},
    {"torch.IntStorage", "torch.int32", DataType::kInt32},
    {"torch.ShortStorage", "torch.int16", DataType::kInt16},
    {"torch.CharStorage", "torch.int8", DataType::kInt8},
    {"torch.ByteStorage", "torch.uint8", DataType::kUInt8},
    {"torch.BoolStorage", "torch.bool", DataType::kBool},
    {"torch.ComplexFloatStorage", "torch.complex64", std::nullopt},
    {"torch.ComplexDoubleStorage", "torch.complex128", std::nullopt},
    {"torch.QInt8Storage", "torch.qint8", std::nullopt},
    {"torch.QUInt8Storage", "torch.quint8", std::nullopt},
    {"torch.QInt32Storage", "torch.qint32", std::nullopt},
    {"", "torch.complex32", std::nullopt},
    {"", "torch.uint16", std::nullopt},
    {"", "torch.uint32", std::nullopt},
    {"", "torch.uint64", std::nullopt},
    {"", "torch.float8_e4m3fn", std::nullopt},
    {"", "torch.float8_e5m2", std::nullopt},
    {"", "torch.float8_e4m3fnuz", std::nullopt},
    {"", "torch.float8_e5m2fnuz", std::nullopt},
});

// One table of everything, so that a found entry outlives its reader.
const std::vector<AllowedGlobal>& AllGlobals() {
  static const std::vector<AllowedGlobal> all = [] {
    std::vector<AllowedGlobal> globals(kAllowed.begin(), kAllowed.end());
    for (const TorchType& type : kTorchTypes) {
      if (!type.storage.empty()) globals.push_back({type.storage, GlobalRole::kInert});
      globals.push_back({type.dtype, GlobalRole::kInert});
    }
    std::ranges::sort(globals, {}, &AllowedGlobal::name);
    return globals;
  }();
  return all;
}

std::optional<DataType> TypeOf(std::string_view TorchType::*column, std::string_view global) {
  const auto* type = std::ranges::find(kTorchTypes, global, column);
  return type == kTorchTypes.end() ? std::nullopt : type->type;
}

}  // namespace

std::string ModernModule(const std::string& module) {
  if (module == "__builtin__") return "builtins";
  return module == "copy_reg" ? "copyreg" : module;
}

const AllowedGlobal* FindAllowedGlobal(const std::string& module, const std::string& name) {
  const std::string dotted = ModernModule(module) + "." + name;
  const auto found = std::ranges::lower_bound(AllGlobals(), dotted, {}, &AllowedGlobal::name);
  return found != AllGlobals().end() && found->name == dotted ? &*found : nullptr;
}

std::optional<DataType> StorageDataType(std::string_view global) { return TypeOf(&TorchType::storage, global); }

std::string_view StorageGlobal(DataType type) {
  return std::ranges::find(kTorchTypes, std::optional(type), &TorchType::type)->storage;
}

std::optional<DataType> TorchDataType(std::string_view global) { return TypeOf(&TorchType::dtype, global); }

}  // namespace lcsc
