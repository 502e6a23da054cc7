#include "finite.h"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace lcsc {

// Magnitudes of floats are in the order of their bits, with infinity and NaN at the end: integers compare them without
// a branch, so that the inner loop is a vector's.
std::optional<std::size_t> FirstNotBelow(std::span<const float> values, float limit) {
  constexpr std::size_t kBlock = 4096;
  const auto limit_bits = std::bit_cast<std::int32_t>(limit);
  const auto is_bad = [limit_bits](float value) {
    return (std::bit_cast<std::int32_t>(value) & 0x7fffffff) >= limit_bits;
  };
  for (std::size_t begin = 0; begin < values.size(); begin += kBlock) {
    const auto block = values.subspan(begin, std::min(kBlock, values.size() - begin));
    std::int32_t any = 0;
    for (const float value : block) any |= static_cast<std::int32_t>(is_bad(value));
    if (any == 0) continue;
    return begin + static_cast<std::size_t>(std::ranges::find_if(block, is_bad) - block.begin());
  }
  return std::nullopt;
}

}  // namespace lcsc
