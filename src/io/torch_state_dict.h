// From a pickle's inert values to the tensors of one state dict.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lcsc/io/pickle_reader.h"
#include "lcsc/io/tensor_table.h"
#include "lcsc/io/torch_archive.h"

namespace lcsc {

// A tensor as a view of a storage. Counts are in elements.
struct StoredTensor {
  TensorEntry entry;
  std::string storage_key;
  std::int64_t storage_elements = 0;
  std::int64_t storage_offset = 0;
  std::vector<std::int64_t> strides;

  bool IsContiguous() const;
  // Elements of the storage from the first to the last that it uses; 0 for an empty tensor.
  std::int64_t Extent() const;
};

struct TorchStateDict {
  std::vector<StoredTensor> tensors;            // by name in ascending order
  std::map<std::string, std::string> metadata;  // "step", when an integer of that name stands beside
};

// Dicts that hold tensors, those with the most tensors first.
std::vector<StateDictPlace> FindStateDicts(const PickleTree& tree);

// What the caller asks for, and where messages say it is.
struct StateDictRequest {
  std::string key;  // "" for the top
  std::string path;
};
// The tensors of the dict at `key`. Every shape, stride and offset lies inside the storage that its tensor names.
// Throws InputError: no such dict, a dict whose tensors lie deeper (the message lists the candidates), a tensor that
// contradicts itself or is of a type that is not read.
TorchStateDict SelectStateDict(const PickleTree& tree, const StateDictRequest& request);

}  // namespace lcsc
