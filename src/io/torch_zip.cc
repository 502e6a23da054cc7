#include <algorithm>
#include <map>
#include <vector>

#include "lcsc/base/error.h"
#include "torch_storages.h"
#include "zip_handle.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

constexpr const char* kProgramName = "data.pkl";
constexpr std::uint64_t kMaxProgramBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kMaxNoteBytes = 64;  // of the entries "version" and "byteorder"
// torch.save never compresses; archives that were packed again do, but weights hardly shrink.
constexpr std::uint64_t kMaxExpansion = 16;
constexpr std::uint64_t kFreeBytes = 1 << 20;

struct Entry {
  zip_uint64_t index = 0;
  std::uint64_t size = 0;
  bool is_stored = true;  // not compressed
};

class TorchZip : public TorchStorages {
 public:
  explicit TorchZip(const fs::path& path) : path_(path.string()) {
    Open();
    ListEntries(fs::file_size(path));
    FindPrefix();
    CheckByteOrder();
  }

  PickleTree ReadProgram() const {
    const std::string bytes = ReadText(kProgramName, kMaxProgramBytes);
    const std::string where = fmt::format("{}: {}", path_, kProgramName);
    PickleTree tree = ReadPickle({bytes, where});
    if (tree.num_bytes != bytes.size()) {
      throw InputError("{}: not a sound pickle: {} bytes follow its end; save or copy the file again", where,
                       bytes.size() - tree.num_bytes);
    }
    return tree;
  }

  std::uint64_t BytesOf(const std::string& key) const override { return EntryOf("data/" + key).size; }

  std::uint64_t total_bytes() const override { return total_bytes_; }

  void Read(const std::string& key, StorageSpan span, void* destination) const override {
    ReadEntry("data/" + key, span, static_cast<char*>(destination));
  }

  void Close() const override { archive_.reset(); }

 private:
  void Open() const {
    if (archive_) return;
    int code = 0;
    archive_.reset(zip_open(path_.c_str(), ZIP_RDONLY, &code));
    if (!archive_) Refuse(ZipErrorText(code));
  }

  [[noreturn]] void Refuse(const std::string& reason) const {
    throw InputError("{}: not a sound torch.save archive: {}; save or copy the file again", path_, reason);
  }

  void ListEntries(std::uint64_t file_bytes) {
    const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
    for (zip_int64_t i = 0; i < count; ++i) {
      zip_stat_t status;
      constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
      if (zip_stat_index(archive_.get(), static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW, &status) != 0 ||
          (status.valid & kNeeded) != kNeeded) {
        Refuse(fmt::format("entry {} has no name or size", i));
      }
      const bool is_stored = status.comp_method == ZIP_CM_STORE;
      if (is_stored && status.comp_size != status.size) Refuse(fmt::format("entry {} contradicts itself", status.name));
      if (!entries_.emplace(status.name, Entry{status.index, status.size, is_stored}).second) {
        Refuse(fmt::format("entry {} stands twice", status.name));
      }
      total_bytes_ += std::min<std::uint64_t>(status.size, UINT64_MAX - total_bytes_);
    }
    if (total_bytes_ > kMaxExpansion * file_bytes + kFreeBytes) {
      Refuse(fmt::format("its {} bytes claim to hold {}, more than {} times as much", file_bytes, total_bytes_,
                         kMaxExpansion));
    }
  }

  // Everything lies in one folder, named as the file was.
  void FindPrefix() {
    const auto is_program = [](const auto& entry) {
      return entry.first == kProgramName || entry.first.ends_with(std::string("/") + kProgramName);
    };
    const auto program = std::ranges::find_if(entries_, is_program);
    if (program == entries_.end()) {
      throw InputError(
          "{}: expected a torch.save archive, found a zip archive without {}; expected torch.save({{...}}) or a "
          ".safetensors file",
          path_, kProgramName);
    }
    prefix_ = program->first.substr(0, program->first.size() - std::string(kProgramName).size());
    if (entries_.contains(prefix_ + "constants.pkl")) {
      throw InputError(
          "{}: expected a dict of tensors, found a TorchScript module (torch.jit.save); save its state_dict() with "
          "torch.save, or give it where a TorchScript module is asked for",
          path_);
    }
  }

  void CheckByteOrder() const {
    constexpr const char* kName = "byteorder";
    if (!entries_.contains(prefix_ + kName)) return;  // written by PyTorch before 2.1
    const std::string order = ReadText(kName, kMaxNoteBytes);
    if (order != "little") Refuse(fmt::format("expected byte order little, found \"{:.10}\"", order));
  }

  const Entry& EntryOf(const std::string& name) const {
    const auto entry = entries_.find(prefix_ + name);
    if (entry == entries_.end()) Refuse(fmt::format("its entry {} is missing", prefix_ + name));
    return entry->second;
  }

  std::string ReadText(const std::string& name, std::uint64_t max_bytes) const {
    const Entry& entry = EntryOf(name);
    if (entry.size > max_bytes) {
      Refuse(fmt::format("expected at most {} bytes in entry {}, found {}", max_bytes, name, entry.size));
    }
    std::string text(entry.size, '\0');
    ReadEntry(name, {0, entry.size}, text.data());
    return text;
  }

  void ReadEntry(const std::string& name, StorageSpan span, char* destination) const {
    Open();
    const Entry& entry = EntryOf(name);
    LCSC_CHECK(span.begin <= entry.size && span.size <= entry.size - span.begin);
    ZipMemberHandle member(zip_fopen_index(archive_.get(), entry.index, 0));
    if (!member) Refuse(fmt::format("entry {}: {}", name, zip_strerror(archive_.get())));
    Skip(name, entry, member.get(), span.begin);
    ReadBytes(name, member.get(), destination, span.size);
    if (span.size != entry.size) return;
    char beyond;
    const zip_int64_t count = zip_fread(member.get(), &beyond, 1);  // compares the checksum
    if (count < 0) Refuse(fmt::format("entry {}: {}", name, zip_file_strerror(member.get())));
    if (count > 0) Refuse(fmt::format("entry {} is longer than it claims", name));
  }

  void Skip(const std::string& name, const Entry& entry, zip_file_t* member, std::uint64_t bytes) const {
    if (bytes == 0) return;
    if (entry.is_stored && zip_fseek(member, static_cast<zip_int64_t>(bytes), SEEK_SET) == 0) return;
    std::vector<char> passed(std::min<std::uint64_t>(bytes, 1 << 20));
    while (bytes > 0) {
      const std::uint64_t count = std::min<std::uint64_t>(bytes, passed.size());
      ReadBytes(name, member, passed.data(), count);
      bytes -= count;
    }
  }

  void ReadBytes(const std::string& name, zip_file_t* member, char* destination, std::uint64_t bytes) const {
    while (bytes > 0) {
      const zip_int64_t count = zip_fread(member, destination, bytes);
      if (count < 0) Refuse(fmt::format("entry {}: {}", name, zip_file_strerror(member)));
      if (count == 0) Refuse(fmt::format("entry {} is cut off", name));
      destination += count;
      bytes -= static_cast<std::uint64_t>(count);
    }
  }

  std::string path_, prefix_;
  mutable ZipArchive archive_;
  std::map<std::string, Entry> entries_;
  std::uint64_t total_bytes_ = 0;
};

}  // namespace

bool IsZip(const std::string& first_bytes) { return first_bytes.starts_with("PK\x03\x04"); }

TorchContent OpenTorchZip(const fs::path& path) {
  auto zip = std::make_unique<TorchZip>(path);
  PickleTree tree = zip->ReadProgram();
  return {std::move(tree), std::move(zip)};
}

}  // namespace lcsc
