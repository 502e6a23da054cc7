// Values as the bytes of a message between processes of one program, and back.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "lcsc/base/error.h"

namespace lcsc {

class ByteWriter {
 public:
  template <typename T>
  requires std::is_trivially_copyable_v<T>
  void Put(const T& value) { PutArray(&value, 1); }
  template <typename T>
  void PutArray(const T* values, std::size_t count) {
    const auto* begin = reinterpret_cast<const std::byte*>(values);
    bytes_.insert(bytes_.end(), begin, begin + count * sizeof(T));
  }
  void PutText(const std::string& text) {
    Put(text.size());
    PutArray(text.data(), text.size());
  }
  std::vector<std::byte> Take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

// Throws InvariantError when the bytes are fewer than what is asked for.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <typename T>
  requires std::is_trivially_copyable_v<T> T Get() {
    T value;
    GetArray(&value, 1);
    return value;
  }
  template <typename T>
  void GetArray(T* values, std::size_t count) {
    LCSC_CHECK(count <= bytes_.size() / sizeof(T));
    if (count > 0) std::memcpy(values, bytes_.data(), count * sizeof(T));
    bytes_ = bytes_.subspan(count * sizeof(T));
  }
  std::string GetText() {
    const auto length = Get<std::size_t>();
    LCSC_CHECK(length <= remaining());
    std::string text(length, '\0');
    GetArray(text.data(), length);
    return text;
  }
  std::size_t remaining() const { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace lcsc
