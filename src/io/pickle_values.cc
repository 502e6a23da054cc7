// The machine's opcodes that make numbers, texts and containers.
#include <algorithm>
#include <bit>
#include <boost/locale/encoding_utf.hpp>
#include <charconv>
#include <cstring>

#include "lcsc/base/error.h"
#include "pickle_machine.h"

namespace lcsc {
namespace {

bool IsUtf8(std::string_view text) {
  namespace utf = boost::locale::utf;
  for (const char* cursor = text.data(); cursor != text.data() + text.size();) {
    const utf::code_point point = utf::utf_traits<char>::decode(cursor, text.data() + text.size());
    if (point == utf::illegal || point == utf::incomplete) return false;
  }
  return true;
}

}  // namespace

bool PickleMachine::ExecuteNumber(unsigned char opcode) {
  switch (opcode) {
    case 'N':
      Push(PickleNone{});
      return true;
    case 0x88:
    case 0x89:  // NEWTRUE, NEWFALSE
      Push(opcode == 0x88);
      return true;
    case 'J':
      Push(std::int64_t{TakeNumber<std::int32_t>()});
      return true;
    case 'K':
      Push(std::int64_t{TakeNumber<std::uint8_t>()});
      return true;
    case 'M':
      Push(std::int64_t{TakeNumber<std::uint16_t>()});
      return true;
    case 'I':
    case 'L':
      PushIntegerLine(opcode == 'L');
      return true;
    case 0x8a:  // LONG1
      PushLong(Take(TakeNumber<std::uint8_t>()));
      return true;
    case 0x8b:  // LONG4
      PushLong(Take(TakeNumber<std::uint32_t>()));
      return true;
    case 'F':
      TakeLine();
      Push(PickleOpaque{});
      return true;
    case 'G': {  // BINFLOAT, big-endian
      std::uint64_t bits = 0;
      for (const char byte : Take(sizeof bits)) bits = bits << 8 | static_cast<unsigned char>(byte);
      Push(std::bit_cast<double>(bits));
      return true;
    }
    default:
      return false;
  }
}

void PickleMachine::PushIntegerLine(bool is_long) {
  std::string line = TakeLine();
  if (!is_long && (line == "00" || line == "01")) {
    Push(line == "01");
    return;
  }
  if (is_long && line.ends_with('L')) line.pop_back();
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  const bool is_integer = error == std::errc() && end == line.data() + line.size();
  Push(is_integer ? PickleValue(value) : PickleValue(PickleOpaque{}));
}

// Two's complement of any length, little-endian.
void PickleMachine::PushLong(std::string_view bytes) {
  if (bytes.size() > sizeof(std::uint64_t)) {
    Push(PickleOpaque{});
    return;
  }
  const bool is_negative = !bytes.empty() && static_cast<signed char>(bytes.back()) < 0;
  std::uint64_t bits = is_negative ? ~std::uint64_t{0} : 0;
  if (!bytes.empty()) std::memcpy(&bits, bytes.data(), bytes.size());
  Push(static_cast<std::int64_t>(bits));
}

bool PickleMachine::ExecuteText(unsigned char opcode) {
  switch (opcode) {
    case 'X':  // BINUNICODE
      PushText(Take(TakeNumber<std::uint32_t>()));
      return true;
    case 0x8c:  // SHORT_BINUNICODE
    case 'U':   // SHORT_BINSTRING, Python 2's text
      PushText(Take(TakeNumber<std::uint8_t>()));
      return true;
    case 0x8d:  // BINUNICODE8
      PushText(Take(TakeNumber<std::uint64_t>()));
      return true;
    case 'T':  // BINSTRING
      PushText(Take(TakeNumber<std::uint32_t>()));
      return true;
    case 'C':  // SHORT_BINBYTES
      Take(TakeNumber<std::uint8_t>());
      Push(PickleOpaque{});
      return true;
    case 'B':  // BINBYTES
      Take(TakeNumber<std::uint32_t>());
      Push(PickleOpaque{});
      return true;
    case 0x8e:  // BINBYTES8
    case 0x96:  // BYTEARRAY8
      Take(TakeNumber<std::uint64_t>());
      Push(PickleOpaque{});
      return true;
    case 'S':  // STRING, UNICODE: lines with escapes, which no name of a tensor is written as
    case 'V':
      TakeLine();
      Push(PickleOpaque{});
      return true;
    default:
      return false;
  }
}

// Text that is not UTF-8 is Python 2's bytes, or lone surrogates: nothing that a tensor is named.
void PickleMachine::PushText(std::string_view text) {
  Push(IsUtf8(text) ? PickleValue(std::string(text)) : PickleValue(PickleOpaque{}));
}

bool PickleMachine::ExecuteContainer(unsigned char opcode) {
  switch (opcode) {
    case ']':   // EMPTY_LIST
    case ')':   // EMPTY_TUPLE
    case 0x8f:  // EMPTY_SET
      Push(PickleSequence{});
      return true;
    case 'l':   // LIST
    case 't':   // TUPLE
    case 0x91:  // FROZENSET
      Push(PickleSequence{PopToMark()});
      return true;
    case 0x85:  // TUPLE1
    case 0x86:
    case 0x87:
      Push(PickleSequence{PopSome(opcode - 0x84u)});
      return true;
    case 'a':  // APPEND
      Append(PopSome(1));
      return true;
    case 'e':   // APPENDS
    case 0x90:  // ADDITEMS
      Append(PopToMark());
      return true;
    case '}':  // EMPTY_DICT
      Push(PickleDict{});
      return true;
    case 'd': {  // DICT
      const std::vector<PickleId> items = PopToMark();
      Push(PickleDict{});
      SetItems(items);
      return true;
    }
    case 's':  // SETITEM
      SetItems(PopSome(2));
      return true;
    case 'u':  // SETITEMS
      SetItems(PopToMark());
      return true;
    default:
      return false;
  }
}

void PickleMachine::Append(std::vector<PickleId> items) {
  auto& target = tree_.values[Top()];
  if (std::holds_alternative<PickleOpaque>(target) || std::holds_alternative<PickleCall>(target)) return;
  auto* const list = std::get_if<PickleSequence>(&target);
  if (list == nullptr) Refuse("it appends to something that is no list");
  list->items.insert(list->items.end(), items.begin(), items.end());
}

void PickleMachine::SetItems(const std::vector<PickleId>& keys_and_values) {
  auto* const dict = std::get_if<PickleDict>(&tree_.values[Top()]);
  if (dict == nullptr) Refuse("it sets an item of something that is no dict");
  if (keys_and_values.size() % 2 != 0) Refuse("it sets a key without a value");
  for (std::size_t i = 0; i < keys_and_values.size(); i += 2) {
    dict->items.emplace_back(keys_and_values[i], keys_and_values[i + 1]);
  }
}

}  // namespace lcsc
