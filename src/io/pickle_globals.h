// The allow-list of names that a pickle may mention, and what they mean to the reader.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lcsc/io/tensor_table.h"

namespace lcsc {

enum class GlobalRole {
  kInert,          // a class or a dtype that is mentioned, never called
  kCall,           // a call of it is kept as a PickleCall
  kDict,           // makes a dict
  kNamespace,      // makes an object whose attributes are a dict
  kReconstructor,  // copyreg._reconstructor: makes an object of the class that is its first argument
};

struct AllowedGlobal {
  std::string_view name;  // "module.name", in Python 3's names
  GlobalRole role;
};

// Python 3's name of a module.
std::string ModernModule(const std::string& module);

// The entry of module.name (Python 2's module names are understood), or nullptr when it is not allowed.
const AllowedGlobal* FindAllowedGlobal(const std::string& module, const std::string& name);

// The element type of "torch.FloatStorage" or of "torch.float32"; none for types that are not read and other names.
std::optional<DataType> StorageDataType(std::string_view global);
std::optional<DataType> TorchDataType(std::string_view global);

// "torch.FloatStorage".
std::string_view StorageGlobal(DataType type);

}  // namespace lcsc
