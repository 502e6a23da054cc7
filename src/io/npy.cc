#include "npy.h"

#include <charconv>
#include <limits>
#include <regex>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

constexpr std::string_view kNpyMagic = "\x93NUMPY";
constexpr std::size_t kNpyAlignment = 64;
constexpr std::size_t kLengthBytesOfVersion1 = 2;

std::smatch Find(const std::string& dictionary, const char* pattern, const std::string& where) {
  std::smatch match;
  if (!std::regex_search(dictionary, match, std::regex(pattern))) {
    throw InputError("{}: expected an array of plain numbers, found the header {:.200}; save it with another dtype",
                     where, dictionary);
  }
  return match;
}

}  // namespace

std::int64_t NpyHeader::NumElements(const std::string& where) const {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (__builtin_mul_overflow(count, size, &count)) {
      throw InputError("{}: its shape [{}] is absurdly large; the file is damaged, make it again", where,
                       fmt::join(shape, ", "));
    }
  }
  return count;
}

std::size_t NpyLengthBytes(const std::string& start, const std::string& where) {
  const bool is_npy = start.size() == kNpyVersionBytes && start.starts_with(kNpyMagic);
  const int version = is_npy ? start[kNpyMagic.size()] : 0;
  if (version < 1 || version > 3) {
    throw InputError("{}: expected a .npy array of version 1 to 3; the file is damaged or newer, make it again", where);
  }
  return version == 1 ? kLengthBytesOfVersion1 : 4;
}

NpyHeader ParseNpyDictionary(const std::string& dictionary, const std::string& where) {
  NpyHeader header;
  header.descr = Find(dictionary, R"('descr': *'([^']*)')", where)[1];
  header.fortran_order = Find(dictionary, "'fortran_order': *(True|False)", where)[1] == "True";
  const std::string shape = Find(dictionary, R"('shape': *\(([0-9, ]*)\))", where)[1];
  const char* const end = shape.data() + shape.size();
  for (const char* cursor = shape.data(); cursor < end;) {
    if (*cursor == ',' || *cursor == ' ') {
      ++cursor;
      continue;
    }
    std::int64_t size = 0;
    const auto [next, error] = std::from_chars(cursor, end, size);
    if (error != std::errc()) throw InputError("{}: its shape ({}) is absurdly large", where, shape);
    header.shape.push_back(size);
    cursor = next;
  }
  return header;
}

std::string MakeNpyStart(const NpyHeader& header) {
  std::string dictionary = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", header.descr,
                                       fmt::join(header.shape, ", "), header.shape.size() == 1 ? "," : "");
  const std::size_t unpadded = kNpyVersionBytes + kLengthBytesOfVersion1 + dictionary.size() + 1;
  dictionary.append((kNpyAlignment - unpadded % kNpyAlignment) % kNpyAlignment, ' ');
  dictionary += '\n';
  LCSC_CHECK(dictionary.size() <= std::numeric_limits<std::uint16_t>::max());
  std::string start(kNpyMagic);
  start += {'\x01', '\x00', static_cast<char>(dictionary.size() & 0xff), static_cast<char>(dictionary.size() >> 8)};
  return start + dictionary;
}

}  // namespace lcsc
