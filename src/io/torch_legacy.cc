// torch.save before PyTorch 1.6: five pickles (a magic number, the format's version, facts about the system, the
// object, the storages' keys), then each storage in the order of the keys: its number of elements, its bytes.
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>

#include "lcsc/base/error.h"
#include "pickle_globals.h"
#include "torch_storages.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxLegacyProgramBytes = std::uint64_t{64} << 20;
constexpr std::int64_t kFormatVersion = 1001;
// PROTO 2, LONG1 of 10 bytes: 0x1950a86a20f9469cfc6c, STOP.
constexpr const char kLegacyMagic[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

class LegacyFile : public TorchStorages {
 public:
  explicit LegacyFile(const fs::path& path)
      : path_(path.string()), file_(path, std::ios::binary), file_bytes_(fs::file_size(path)) {
    if (!file_) throw InputError("cannot read {}: {}; check the path", path_, std::strerror(errno));
  }

  // Reads the pickles and finds the storages.
  PickleTree ReadProgram() {
    std::string bytes(std::min(file_bytes_, kMaxLegacyProgramBytes), '\0');
    if (!file_.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) Refuse("it cannot be read");
    std::string_view rest = bytes;
    Next(rest, "magic number");
    const PickleTree version = Next(rest, "format version");
    const auto* const number = version.As<std::int64_t>(version.root);
    if (number == nullptr || *number != kFormatVersion) Refuse("its format version is unknown");
    CheckByteOrder(Next(rest, "system"));
    PickleTree object = Next(rest, "object");
    const PickleTree keys = Next(rest, "storage keys");
    FindStorages(keys, TypesOf(object), bytes.size() - rest.size());
    return object;
  }

  std::uint64_t BytesOf(const std::string& key) const override { return SpanOf(key).size; }

  std::uint64_t total_bytes() const override { return file_bytes_; }

  void Read(const std::string& key, StorageSpan span, void* destination) const override {
    const StorageSpan storage = SpanOf(key);
    LCSC_CHECK(span.begin <= storage.size && span.size <= storage.size - span.begin);
    if (!file_.is_open()) file_.open(path_, std::ios::binary);
    file_.clear();
    file_.seekg(static_cast<std::streamoff>(storage.begin + span.begin));
    if (!file_.read(static_cast<char*>(destination), static_cast<std::streamsize>(span.size))) {
      Refuse(fmt::format("storage {} cannot be read, although it was there when the file was opened", key));
    }
  }

  void Close() const override { file_.close(); }

 private:
  [[noreturn]] void Refuse(const std::string& reason) const {
    throw InputError("{}: not a sound torch.save file (of PyTorch before 1.6): {}; save or copy the file again", path_,
                     reason);
  }

  PickleTree Next(std::string_view& rest, const char* what) const {
    PickleTree tree = ReadPickle({rest, fmt::format("{}: {}", path_, what)});
    rest.remove_prefix(tree.num_bytes);
    return tree;
  }

  void CheckByteOrder(const PickleTree& system) const {
    const auto* const facts = system.As<PickleDict>(system.root);
    if (facts == nullptr) Refuse("it says nothing about the system");
    for (const auto& [key, value] : facts->items) {
      const auto* const name = system.As<std::string>(key);
      const auto* const flag = system.As<bool>(value);
      if (name != nullptr && *name == "little_endian" && (flag == nullptr || !*flag)) {
        Refuse("expected byte order little");
      }
    }
  }

  // Bytes per element of each storage that the object mentions.
  std::map<std::string, std::int64_t> TypesOf(const PickleTree& object) const {
    std::map<std::string, std::int64_t> bytes_per_element;
    for (const PickleValue& value : object.values) {
      const auto* const persistent = std::get_if<PicklePersistentId>(&value);
      const auto* const id = persistent == nullptr ? nullptr : object.As<PickleSequence>(persistent->id);
      if (id == nullptr || id->items.size() < 3) continue;
      const auto* const global = object.As<PickleGlobal>(id->items[1]);
      const auto* const key = object.As<std::string>(id->items[2]);
      const auto type = global == nullptr ? std::nullopt : StorageDataType(global->name);
      if (key == nullptr || !type) Refuse("a storage is of a type that is not read");
      bytes_per_element[*key] = BytesPerElement(*type);
    }
    return bytes_per_element;
  }

  void FindStorages(const PickleTree& keys, const std::map<std::string, std::int64_t>& types, std::uint64_t begin) {
    const auto* const list = keys.As<PickleSequence>(keys.root);
    if (list == nullptr) Refuse("its list of storages is missing");
    for (const PickleId item : list->items) {
      const auto* const key = keys.As<std::string>(item);
      if (key == nullptr || !types.contains(*key)) Refuse("its list of storages names one that the object lacks");
      std::uint64_t elements = 0;
      file_.seekg(static_cast<std::streamoff>(begin));
      if (file_bytes_ - begin < sizeof elements || !file_.read(reinterpret_cast<char*>(&elements), sizeof elements)) {
        Refuse(fmt::format("it is cut off before storage {}", *key));
      }
      begin += sizeof elements;
      const auto element_bytes = static_cast<std::uint64_t>(types.at(*key));
      if (elements > (file_bytes_ - begin) / element_bytes) {
        Refuse(fmt::format("storage {} claims {} elements, more than the file holds", *key, elements));
      }
      if (!storages_.emplace(*key, StorageSpan{begin, elements * element_bytes}).second) {
        Refuse(fmt::format("storage {} stands twice", *key));
      }
      begin += elements * element_bytes;
    }
  }

  StorageSpan SpanOf(const std::string& key) const {
    const auto storage = storages_.find(key);
    if (storage == storages_.end()) Refuse(fmt::format("storage {} is missing", key));
    return storage->second;
  }

  std::string path_;
  mutable std::ifstream file_;
  std::uint64_t file_bytes_;
  std::map<std::string, StorageSpan> storages_;
};

}  // namespace

bool IsLegacyTorchFile(const std::string& first_bytes) {
  return first_bytes.starts_with(std::string_view(kLegacyMagic, sizeof kLegacyMagic - 1));
}

TorchContent OpenLegacyTorchFile(const fs::path& path) {
  auto file = std::make_unique<LegacyFile>(path);
  PickleTree tree = file->ReadProgram();
  return {std::move(tree), std::move(file)};
}

}  // namespace lcsc
