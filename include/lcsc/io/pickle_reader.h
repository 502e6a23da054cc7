// Python pickles without Python: a machine that turns the bytes into a tree of inert values and executes nothing.
// Protocols 1 to 5. Globals are names out of an allow-list (docs/torch-archives.md); every other one is refused by
// name. Calls are kept as what they are, a name and arguments: io/torch_archive.h says which of them are tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace lcsc {

// A value's position in its tree. Values may be shared and may contain themselves: who walks must remember.
using PickleId = std::uint32_t;

struct PickleNone {};
// Something that no state dict needs: bytes, an integer beyond 64 bits, text that is not UTF-8.
struct PickleOpaque {};
// A list, a tuple or a set.
struct PickleSequence {
  std::vector<PickleId> items;
};
// A dict, an OrderedDict, or the attributes of an argparse.Namespace; items in the order in which they were set.
struct PickleDict {
  std::vector<std::pair<PickleId, PickleId>> items;
  bool is_namespace = false;
};
// A class, function or dtype of the allow-list: "torch.float32". The text outlives the program's trees.
struct PickleGlobal {
  std::string_view name;
};
// name(*arguments), not called.
struct PickleCall {
  std::string_view name;
  PickleId arguments = 0;  // a PickleSequence
};
// What the pickler left to its caller: torch.save's storages.
struct PicklePersistentId {
  PickleId id = 0;
};

using PickleValue = std::variant<PickleNone, bool, std::int64_t, double, std::string, PickleOpaque, PickleSequence,
                                 PickleDict, PickleGlobal, PickleCall, PicklePersistentId>;

struct PickleTree {
  std::vector<PickleValue> values;
  PickleId root = 0;
  std::size_t num_bytes = 0;  // of the pickle: what was read up to its end

  const PickleValue& operator[](PickleId id) const { return values[id]; }
  // The value as a T, or nullptr when it is of another kind.
  template <typename T>
  const T* As(PickleId id) const {
    return std::get_if<T>(&values[id]);
  }
};

struct PickleInput {
  std::string_view bytes;
  std::string where;  // what the bytes are, for messages: "x.pt: data.pkl"
};

// The first pickle in the bytes. Memory: some 50 bytes per byte at worst, and at most 2^22 values.
// Throws InputError that says where, what was found at which byte and what to do: a global that is not allowed, an
// unknown opcode, a truncated or self-contradicting program, too many values.
PickleTree ReadPickle(const PickleInput& input);

}  // namespace lcsc
