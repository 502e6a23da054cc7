#include "lcsc/base/philox.h"

#include <cmath>
#include <numbers>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

constexpr std::uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;

// In (0, 1) with 32 bits.
double UniformFrom(std::uint32_t bits) { return (bits + 0.5) * 0x1p-32; }

}  // namespace

std::array<std::uint32_t, 4> Philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t product0 = std::uint64_t{kMultiplier0} * counter[0];
    const std::uint64_t product1 = std::uint64_t{kMultiplier1} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

RandomStream::RandomStream(const Id& id) {
  LCSC_CHECK(id.index < (std::uint64_t{1} << 32));
  LCSC_CHECK(id.part < (1u << 24));
  key_ = {static_cast<std::uint32_t>(id.seed), static_cast<std::uint32_t>(id.seed >> 32)};
  counter_ = {0, static_cast<std::uint32_t>(id.index), id.part | (static_cast<std::uint32_t>(id.purpose) << 24), 0};
}

std::uint32_t RandomStream::NextBits() {
  if (used_ == 4) {
    block_ = Philox4x32(counter_, key_);
    used_ = 0;
    if (++counter_[0] == 0) ++counter_[3];
  }
  return block_[static_cast<std::size_t>(used_++)];
}

double RandomStream::NextUniform() {
  const std::uint64_t high = NextBits() >> 5, low = NextBits() >> 6;
  return ((high << 26 | low) + 0.5) * 0x1p-53;
}

double RandomStream::NextNormal() {
  if (has_spare_normal_) {
    has_spare_normal_ = false;
    return spare_normal_;
  }
  const double radius = std::sqrt(-2 * std::log(NextUniform()));
  const double angle = 2 * std::numbers::pi * NextUniform();
  spare_normal_ = radius * std::sin(angle);
  has_spare_normal_ = true;
  return radius * std::cos(angle);
}

std::uint64_t RandomStream::NextBelow(std::uint64_t bound) {
  LCSC_CHECK(bound >= 1);
  const std::uint64_t limit = ~std::uint64_t{0} - (~std::uint64_t{0} % bound);
  for (;;) {
    const std::uint64_t high = NextBits();
    const std::uint64_t value = high << 32 | NextBits();
    if (value < limit) return value % bound;
  }
}

void RandomStream::FillNormal(std::span<float> values) {
  for (std::size_t i = 0; i < values.size(); i += 2) {
    const double radius = std::sqrt(-2 * std::log(UniformFrom(NextBits())));
    const double angle = 2 * std::numbers::pi * UniformFrom(NextBits());
    values[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < values.size()) values[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
}

}  // namespace lcsc
