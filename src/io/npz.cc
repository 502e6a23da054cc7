#include "lcsc/io/npz.h"

#include <algorithm>
#include <array>
#include <boost/locale/encoding_utf.hpp>
#include <charconv>
#include <cstring>

#include "lcsc/base/atomic_file.h"
#include "lcsc/base/error.h"
#include "npy.h"
#include "zip_handle.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

constexpr const char* kSuffix = ".npy";
constexpr std::size_t kMaxNpyHeaderBytes = 1 << 14;
constexpr std::int64_t kMaxTextCharacters = 1 << 24;
// 1 January 1980, the first day that a zip can name: the same content gives the same bytes.
constexpr zip_uint16_t kFirstDosDate = 0x21;

struct NpyType {
  const char* descr;
  at::ScalarType torch;
};
constexpr std::array<NpyType, 9> kNpyTypes = {{
    {"<f8", at::kDouble},
    {"<f4", at::kFloat},
    {"<f2", at::kHalf},
    {"<i8", at::kLong},
    {"<i4", at::kInt},
    {"<i2", at::kShort},
    {"|i1", at::kChar},
    {"|u1", at::kByte},
    {"|b1", at::kBool},
}};

ZipArchive OpenArchive(const fs::path& path) {
  int code = 0;
  ZipArchive archive(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (!archive) {
    throw InputError("cannot read {}: {}; expected an .npz archive, check the path or make it again", path.string(),
                     ZipErrorText(code));
  }
  return archive;
}

// One array in the archive, read from its beginning to its end.
class Member {
 public:
  // Throws InputError when the archive has no array of that name.
  Member(const fs::path& path, const std::string& name)
      : where_(fmt::format("{}: array \"{}\"", path.string(), name)), archive_(OpenArchive(path)) {
    const std::string member_name = name + kSuffix;
    zip_stat_t status;
    if (zip_stat(archive_.get(), member_name.c_str(), 0, &status) != 0) {
      throw InputError("{} is missing; expected it beside [{}], check that this is the right file", where_,
                       fmt::join(ListNpz(path), ", "));
    }
    handle_.reset(zip_fopen_index(archive_.get(), status.index, 0));
    if (!handle_) Refuse(zip_strerror(archive_.get()));
    bytes_left_ = static_cast<std::int64_t>(status.size);
  }

  const std::string& where() const { return where_; }
  std::int64_t bytes_left() const { return bytes_left_; }

  void Read(void* destination, std::int64_t bytes) {
    auto* cursor = static_cast<char*>(destination);
    bytes_left_ -= bytes;
    while (bytes > 0) {
      const zip_int64_t count = zip_fread(handle_.get(), cursor, static_cast<zip_uint64_t>(bytes));
      if (count < 0) Refuse(zip_file_strerror(handle_.get()));
      if (count == 0) Refuse("it is cut off");
      cursor += count;
      bytes -= count;
    }
  }

  std::string ReadText(std::size_t bytes) {
    std::string text(bytes, '\0');
    Read(text.data(), static_cast<std::int64_t>(bytes));
    return text;
  }

  // Reads on to the end, where the zip's checksum is compared.
  void Finish() {
    char beyond;
    const zip_int64_t count = zip_fread(handle_.get(), &beyond, 1);
    if (count < 0) Refuse(zip_file_strerror(handle_.get()));
    if (count > 0) Refuse("bytes follow it");
  }

  [[noreturn]] void Refuse(const std::string& reason) const {
    throw InputError("{} cannot be read: {}; the file is damaged, copy or make it again", where_, reason);
  }

 private:
  std::string where_;
  ZipArchive archive_;
  ZipMemberHandle handle_;
  std::int64_t bytes_left_ = 0;
};

NpyHeader ReadHeader(Member& member) {
  const std::size_t length_bytes = NpyLengthBytes(member.ReadText(kNpyVersionBytes), member.where());
  std::uint32_t length = 0;
  member.Read(&length, static_cast<std::int64_t>(length_bytes));
  if (length > kMaxNpyHeaderBytes) {
    member.Refuse(fmt::format("expected a header of at most {} bytes, found {}", kMaxNpyHeaderBytes, length));
  }
  return ParseNpyDictionary(member.ReadText(length), member.where());
}

struct SizeLimits {
  std::int64_t element_bytes;
  std::int64_t max_bytes;
};

// The array's size in bytes, once it is known to be what the archive holds and not too much.
std::int64_t BoundedBytes(const Member& member, const NpyHeader& header, const SizeLimits& limits) {
  const std::int64_t elements = header.NumElements(member.where());
  if (elements > limits.max_bytes / limits.element_bytes) {
    throw InputError("{}: expected at most {} bytes, found shape [{}]; is this the right file?", member.where(),
                     limits.max_bytes, fmt::join(header.shape, ", "));
  }
  const std::int64_t bytes = elements * limits.element_bytes;
  if (bytes != member.bytes_left()) {
    member.Refuse(fmt::format("its shape [{}] needs {} bytes, the archive has {}", fmt::join(header.shape, ", "), bytes,
                              member.bytes_left()));
  }
  return bytes;
}

at::Tensor ReadArray(const fs::path& path, const std::string& name, std::int64_t max_bytes) {
  Member member(path, name);
  const NpyHeader header = ReadHeader(member);
  const auto* pair = std::ranges::find_if(kNpyTypes, [&](const NpyType& type) { return header.descr == type.descr; });
  if (pair == kNpyTypes.end()) {
    throw InputError(
        "{}: arrays of dtype '{}' are not read; expected a little-endian float, signed integer, uint8 or bool; convert "
        "it with astype()",
        member.where(), header.descr);
  }
  if (header.fortran_order && header.shape.size() > 1) {
    throw InputError("{}: expected C order, found Fortran order; save np.ascontiguousarray() of it", member.where());
  }
  // A byte other than 0 and 1 must never be looked at as a bool.
  const bool is_bool = pair->torch == at::kBool;
  const auto element_bytes = static_cast<std::int64_t>(c10::elementSize(pair->torch));
  const std::int64_t bytes = BoundedBytes(member, header, {element_bytes, max_bytes});
  const at::Tensor tensor = at::empty(header.shape, is_bool ? at::kByte : pair->torch);
  member.Read(tensor.data_ptr(), bytes);
  member.Finish();
  return is_bool ? tensor.to(at::kBool) : tensor;
}

std::string NpyOf(const fs::path& path, const std::string& name, const at::Tensor& tensor) {
  const auto* pair = std::ranges::find(kNpyTypes, tensor.scalar_type(), &NpyType::torch);
  if (pair == kNpyTypes.end()) {
    throw InputError("{}: array \"{}\": NumPy has no type for {}; convert it to float32 first", path.string(), name,
                     c10::toString(tensor.scalar_type()));
  }
  const at::Tensor contiguous = tensor.detach().cpu().contiguous();
  std::string npy = MakeNpyStart({.descr = pair->descr, .fortran_order = false, .shape = contiguous.sizes().vec()});
  npy.append(static_cast<const char*>(contiguous.data_ptr()), contiguous.nbytes());
  return npy;
}

std::string NpyOf(const std::string& text) {
  const auto characters = boost::locale::conv::utf_to_utf<char32_t>(text, boost::locale::conv::method_type::stop);
  std::string npy =
      MakeNpyStart({.descr = fmt::format("<U{}", characters.size()), .fortran_order = false, .shape = {}});
  npy.append(reinterpret_cast<const char*>(characters.data()), characters.size() * sizeof(char32_t));
  return npy;
}

}  // namespace

std::vector<std::string> ListNpz(const fs::path& path) {
  const ZipArchive archive = OpenArchive(path);
  std::vector<std::string> names;
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive.get(), 0); ++i) {
    const char* const name = zip_get_name(archive.get(), static_cast<zip_uint64_t>(i), 0);
    const std::string text = name != nullptr ? name : "";
    if (text.ends_with(kSuffix)) names.push_back(text.substr(0, text.size() - std::strlen(kSuffix)));
  }
  return names;
}

std::vector<NpzEntry> DescribeNpz(const fs::path& path) {
  std::vector<NpzEntry> entries;
  for (const std::string& name : ListNpz(path)) {
    Member member(path, name);
    const NpyHeader header = ReadHeader(member);
    entries.push_back({name, header.descr, header.shape});
  }
  return entries;
}

std::map<std::string, at::Tensor> ReadNpz(const fs::path& path, const std::vector<std::string>& names,
                                          std::int64_t max_bytes) {
  std::map<std::string, at::Tensor> arrays;
  for (const std::string& name : names) arrays[name] = ReadArray(path, name, max_bytes);
  return arrays;
}

std::string ReadNpzText(const fs::path& path, const std::string& name) {
  if (std::ranges::count(ListNpz(path), name) == 0) return "";
  Member member(path, name);
  const NpyHeader header = ReadHeader(member);
  std::int64_t characters = -1;
  if (header.descr.starts_with("<U")) {
    std::from_chars(header.descr.data() + 2, header.descr.data() + header.descr.size(), characters);
  }
  if (!header.shape.empty() || characters < 0 || characters > kMaxTextCharacters) {
    throw InputError("{}: expected one text (dtype '<U', shape []), found dtype '{}', shape [{}]", member.where(),
                     header.descr, fmt::join(header.shape, ", "));
  }
  std::u32string text(static_cast<std::size_t>(characters), U'\0');
  constexpr auto kCharacterBytes = static_cast<std::int64_t>(sizeof(char32_t));
  const SizeLimits limits{characters * kCharacterBytes, kMaxTextCharacters * kCharacterBytes};
  if (characters > 0) member.Read(text.data(), BoundedBytes(member, header, limits));
  member.Finish();
  text.resize(text.find_last_not_of(U'\0') + 1);
  return boost::locale::conv::utf_to_utf<char>(text);
}

void WriteNpz(const fs::path& path, const std::map<std::string, at::Tensor>& arrays,
              const std::map<std::string, std::string>& texts) {
  std::map<std::string, std::string> members;  // must outlive the archive, which reads them when it is closed
  for (const auto& [name, tensor] : arrays) members[name + kSuffix] = NpyOf(path, name, tensor);
  for (const auto& [name, text] : texts) members[name + kSuffix] = NpyOf(text);
  PublishFile(path, [&](const fs::path& temporary) {
    int code = 0;
    ZipArchive archive(zip_open(temporary.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code));
    const auto fail = [&](const std::string& reason) {
      throw IoError("cannot write {}: {}; free some space or choose another folder", path.string(), reason);
    };
    if (!archive) fail(ZipErrorText(code));
    for (const auto& [name, npy] : members) {
      zip_source_t* const source = zip_source_buffer(archive.get(), npy.data(), npy.size(), 0);
      const zip_int64_t index =
          source == nullptr ? -1 : zip_file_add(archive.get(), name.c_str(), source, ZIP_FL_ENC_UTF_8);
      if (index < 0) {
        zip_source_free(source);
        fail(zip_strerror(archive.get()));
      }
      zip_set_file_compression(archive.get(), static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0);
      zip_file_set_dostime(archive.get(), static_cast<zip_uint64_t>(index), 0, kFirstDosDate, 0);
    }
    if (zip_close(archive.get()) != 0) fail(zip_strerror(archive.get()));
    static_cast<void>(archive.release());
  });
}

}  // namespace lcsc
