// The two containers that torch.save has written: a zip archive (PyTorch 1.6 and later), or pickles with the storages'
// bytes behind them (before).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "lcsc/io/pickle_reader.h"

namespace lcsc {

// Part of a storage, in bytes.
struct StorageSpan {
  std::uint64_t begin = 0, size = 0;
};

// Where the bytes of storages lie. One thread at a time.
class TorchStorages {
 public:
  virtual ~TorchStorages() = default;
  // Throws InputError when there is no storage of that key.
  virtual std::uint64_t BytesOf(const std::string& key) const = 0;
  // All storages together: what the file declares, never more than 16 times the file and 1 MiB.
  virtual std::uint64_t total_bytes() const = 0;
  // REQUIRES: the span lies inside the storage. A whole storage of a zip archive is compared with its checksum.
  // Throws InputError when the bytes cannot be read or are damaged.
  virtual void Read(const std::string& key, StorageSpan span, void* destination) const = 0;
  // Lets go of the file; the next Read opens it again.
  virtual void Close() const = 0;
};

struct TorchContent {
  PickleTree tree;
  std::unique_ptr<TorchStorages> storages;
};

// A file that begins with these bytes is a torch.save file of that container.
bool IsZip(const std::string& first_bytes);
bool IsLegacyTorchFile(const std::string& first_bytes);

// Reads the pickle; validates the container. Throws InputError.
TorchContent OpenTorchZip(const std::filesystem::path& path);
TorchContent OpenLegacyTorchFile(const std::filesystem::path& path);

}  // namespace lcsc
