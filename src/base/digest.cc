#include "lcsc/base/digest.h"

#include <xxhash.h>

#include <fstream>
#include <vector>

#include "lcsc/base/error.h"

namespace lcsc {

struct Digest::State {
  XXH3_state_t* xxh = XXH3_createState();
  ~State() { XXH3_freeState(xxh); }
};

Digest::Digest() : state_(std::make_unique<State>()) { XXH3_128bits_reset(state_->xxh); }
Digest::~Digest() = default;

void Digest::Update(std::span<const std::byte> bytes) { XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size()); }

void Digest::Update(std::string_view text) { Update(std::as_bytes(std::span(text.data(), text.size()))); }

std::string Digest::Hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_->xxh);
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string DigestOf(std::span<const std::byte> bytes) {
  Digest digest;
  digest.Update(bytes);
  return digest.Hex();
}

std::string DigestOf(std::string_view text) { return DigestOf(std::as_bytes(std::span(text.data(), text.size()))); }

std::string DigestOfFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError("cannot read {}; check that the file exists and is readable", path.string());
  Digest digest;
  std::vector<char> buffer(1 << 20);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount() > 0) {
    digest.Update(std::string_view(buffer.data(), static_cast<std::size_t>(file.gcount())));
  }
  return digest.Hex();
}

}  // namespace lcsc
