#include "lcsc/io/torch_archive.h"

#include <algorithm>
#include <fstream>

#include "lcsc/base/error.h"
#include "torch_state_dict.h"
#include "torch_storages.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

std::string FirstBytes(const fs::path& path) {
  std::string bytes(16, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return bytes;
}

TorchContent OpenContent(const fs::path& path) {
  return IsZip(FirstBytes(path)) ? OpenTorchZip(path) : OpenLegacyTorchFile(path);
}

// Shared storages and strides of 0 let a small file describe many or huge tensors.
void CheckTotal(const std::vector<StoredTensor>& tensors, std::uint64_t stored_bytes, const fs::path& path) {
  constexpr double kMaxSharing = 4;
  constexpr double kFreeBytes = 1 << 20;
  double described = 0;
  for (const StoredTensor& tensor : tensors) {
    described +=
        static_cast<double>(tensor.entry.num_elements()) * static_cast<double>(BytesPerElement(tensor.entry.type));
  }
  if (described > kMaxSharing * static_cast<double>(stored_bytes) + kFreeBytes) {
    throw InputError(
        "{}: its tensors describe {:.0f} bytes, more than {} times the {} that it holds; save clones of "
        "expanded tensors",
        path.string(), described, kMaxSharing, stored_bytes);
  }
}

void CheckStorageSize(const StoredTensor& tensor, std::uint64_t bytes, const fs::path& path) {
  const auto element_bytes = static_cast<std::uint64_t>(BytesPerElement(tensor.entry.type));
  if (bytes % element_bytes == 0 && bytes / element_bytes == static_cast<std::uint64_t>(tensor.storage_elements))
    return;
  throw InputError(
      "{}: tensor \"{}\": expected a storage of {} elements of {}, found {} bytes; save or copy the file "
      "again",
      path.string(), tensor.entry.name, tensor.storage_elements, DataTypeName(tensor.entry.type), bytes);
}

}  // namespace

TorchArchive::TorchArchive(fs::path path, const std::string& key) : TensorFile(std::move(path)) {
  TorchContent content = OpenContent(path_);
  TorchStateDict state = SelectStateDict(content.tree, {key, path_.string()});
  metadata_ = std::move(state.metadata);
  tensors_ = std::move(state.tensors);
  storages_ = std::move(content.storages);
  for (const StoredTensor& tensor : tensors_) {
    CheckStorageSize(tensor, storages_->BytesOf(tensor.storage_key), path_);
    entries_.push_back(tensor.entry);
  }
  CheckTotal(tensors_, storages_->total_bytes(), path_);
}

TorchArchive::~TorchArchive() = default;

// Elements of the storage, behind the tensor's offset.
at::Tensor TorchArchive::ReadSpan(const StoredTensor& tensor, ElementRange elements) const {
  // A byte other than 0 and 1 must never be looked at as a bool.
  const bool is_bool = tensor.entry.type == DataType::kBool;
  const at::Tensor values = at::empty({elements.size()}, is_bool ? at::kByte : ScalarTypeOf(tensor.entry.type));
  const auto element_bytes = static_cast<std::uint64_t>(BytesPerElement(tensor.entry.type));
  const StorageSpan span{static_cast<std::uint64_t>(tensor.storage_offset + elements.begin) * element_bytes,
                         static_cast<std::uint64_t>(elements.size()) * element_bytes};
  if (span.size > 0) storages_->Read(tensor.storage_key, span, values.data_ptr());
  return is_bool ? values.to(at::kBool) : values;
}

at::Tensor TorchArchive::ReadStored(const StoredTensor& tensor) const {
  const at::Tensor values = ReadSpan(tensor, {0, tensor.Extent()});
  if (tensor.IsContiguous()) return values.view(tensor.entry.shape);
  return values.as_strided(tensor.entry.shape, tensor.strides).contiguous();
}

at::Tensor TorchArchive::Read(const std::string& name) const { return ReadStored(tensors_[IndexOf(name)]); }

at::Tensor TorchArchive::ReadElements(const std::string& name, ElementRange range) const {
  const StoredTensor& tensor = tensors_[IndexOf(name)];
  if (tensor.IsContiguous()) {
    LCSC_CHECK(0 <= range.begin && range.begin <= range.end && range.end <= tensor.entry.num_elements());
    return ReadSpan(tensor, range);
  }
  return TensorFile::ReadElements(name, range);
}

void TorchArchive::Close() const { storages_->Close(); }

bool IsTorchArchive(const fs::path& path) {
  const std::string bytes = FirstBytes(path);
  return IsZip(bytes) || IsLegacyTorchFile(bytes);
}

std::vector<StateDictPlace> ListStateDicts(const fs::path& path) { return FindStateDicts(OpenContent(path).tree); }

}  // namespace lcsc
