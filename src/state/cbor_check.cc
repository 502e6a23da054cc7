#include "cbor_check.h"

#include <cstdint>
#include <optional>

namespace lcsc {
namespace {

// The upper three bits of an item's first byte; the lower five are its argument, or say how many bytes of it follow.
enum class Major { kUnsigned, kNegative, kBytes, kText, kArray, kMap, kTag, kSimple };

struct Head {
  Major major;
  unsigned info;           // the lower five bits
  std::uint64_t argument;  // a value or a length
};

class Scan {
 public:
  explicit Scan(std::string_view cbor) : rest_(cbor) {}

  bool TakeItem(int levels_left) {
    const auto head = TakeHead();
    if (!head) return false;
    switch (head->major) {
      case Major::kUnsigned:
      case Major::kNegative:
        return true;
      case Major::kBytes:
      case Major::kText:
        return Skip(head->argument);
      case Major::kArray:
      case Major::kMap:
        return levels_left > 0 && TakeMembers(*head, levels_left - 1);
      case Major::kTag:
        return false;
      case Major::kSimple:
        return IsKnownSimple(head->info);
    }
    return false;
  }

  bool at_end() const { return rest_.empty(); }

 private:
  // false, true, null; floats of 16, 32 and 64 bits.
  static bool IsKnownSimple(unsigned info) { return (info >= 20 && info <= 22) || (info >= 25 && info <= 27); }

  std::optional<Head> TakeHead() {
    constexpr unsigned kMostImmediate = 23, kLongest = 27;
    if (rest_.empty()) return std::nullopt;
    const auto first = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    Head head{.major = static_cast<Major>(first >> 5), .info = first & 31u, .argument = first & 31u};
    if (head.info <= kMostImmediate) return head;
    if (head.info > kLongest) return std::nullopt;  // an indefinite length, or a form that does not exist
    const std::size_t num_bytes = std::size_t{1} << (head.info - kMostImmediate - 1);
    if (rest_.size() < num_bytes) return std::nullopt;
    head.argument = 0;
    for (const char byte : rest_.substr(0, num_bytes)) {
      head.argument = head.argument << 8 | static_cast<std::uint8_t>(byte);
    }
    rest_.remove_prefix(num_bytes);
    return head;
  }

  bool TakeText() {
    const auto head = TakeHead();
    return head && head->major == Major::kText && Skip(head->argument);
  }

  // Each member takes a byte at least, so that a count beyond the rest ends here and not after as many turns.
  bool TakeMembers(const Head& head, int levels_left) {
    if (head.argument > rest_.size()) return false;
    for (std::uint64_t i = 0; i < head.argument; ++i) {
      if (head.major == Major::kMap && !TakeText()) return false;
      if (!TakeItem(levels_left)) return false;
    }
    return true;
  }

  bool Skip(std::uint64_t num_bytes) {
    if (num_bytes > rest_.size()) return false;
    rest_.remove_prefix(num_bytes);
    return true;
  }

  std::string_view rest_;
};

}  // namespace

bool IsBoundedCbor(std::string_view cbor, int most_levels) {
  Scan scan(cbor);
  return scan.TakeItem(most_levels) && scan.at_end();
}

}  // namespace lcsc
