// Files that torch.save wrote, read without Python and without executing anything: zip archives (PyTorch 1.6 and
// later) and their predecessor. What is accepted and refused: docs/torch-archives.md.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "lcsc/io/tensor_file.h"

namespace lcsc {

struct StoredTensor;
class TorchStorages;

class TorchArchive : public TensorFile {
 public:
  // key: the dict of tensors in a file of nested dicts and lists: "ema", "state.ema", "4" for a list's fifth item;
  // "" when the file is that dict. With a dot at the end ("." or "state."): the dict's own tensors, whatever dicts of
  // tensors lie in it beside them. Reads and validates everything but the tensors' bytes. An integer "step" beside the
  // tensors, or above them, becomes metadata()["step"].
  // Throws InputError that names the file, the global, the tensor or the candidates for the key.
  explicit TorchArchive(std::filesystem::path path, const std::string& key = "");
  ~TorchArchive() override;

  // The file stays open from one Read to the next. One thread at a time.
  at::Tensor Read(const std::string& name) const override;
  at::Tensor ReadElements(const std::string& name, ElementRange range) const override;
  void Close() const override;

 private:
  at::Tensor ReadStored(const StoredTensor& tensor) const;
  at::Tensor ReadSpan(const StoredTensor& tensor, ElementRange elements) const;

  std::vector<StoredTensor> tensors_;  // parallel to entries_
  std::unique_ptr<TorchStorages> storages_;
};

// Publishes the tensors as torch.save(OrderedDict) does, atomically: torch.load gives a dict of these names, in
// ascending order. Throws InputError for a type that is not read either, IoError.
void WriteTorchArchive(const std::filesystem::path& path, const NamedTensors& tensors);

// Whether the file is one that torch.save wrote, by its first bytes.
bool IsTorchArchive(const std::filesystem::path& path);

// A dict that holds tensors: what a key may name.
struct StateDictPlace {
  std::string key;  // "" for the top
  std::int64_t num_tensors = 0;
};
// All of them in the file, those with the most tensors first. Throws InputError.
std::vector<StateDictPlace> ListStateDicts(const std::filesystem::path& path);

}  // namespace lcsc
