// One tensor out of a pickle's inert values.
#pragma once

#include "torch_state_dict.h"

namespace lcsc {

// Whether the value is a call that torch makes a tensor with.
bool IsTensor(const PickleTree& tree, PickleId id);

// What the tensor is called, and the file, for messages.
struct TensorPlace {
  std::string name;
  std::string path;
};
// REQUIRES: IsTensor(tree, id). Throws InputError when the call contradicts itself, reaches outside its storage, or is
// of a type that is not read.
StoredTensor ParseTensor(const PickleTree& tree, PickleId id, const TensorPlace& place);

}  // namespace lcsc
