// Digests that detect damage and tell files apart: XXH3 128 bits, printed as 32 hex digits. No cryptographic promise.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace lcsc {

class Digest {
 public:
  Digest();
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;
  void Update(std::span<const std::byte> bytes);
  void Update(std::string_view text);
  std::string Hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string DigestOf(std::span<const std::byte> bytes);
std::string DigestOf(std::string_view text);
// Reads the whole file. Throws InputError when it cannot be read.
std::string DigestOfFile(const std::filesystem::path& path);

}  // namespace lcsc
