// For machines of any kind, and as the oracle of the others.
#include <cmath>

#include "merge_tile.h"

namespace lcsc {
namespace {

#ifdef FP_FAST_FMAF
float FusedMultiplyAdd(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#else
// Without an instruction for it: the product is exact in double precision, and a sum that is rounded to odd there is
// rounded right by the second rounding (Boldo and Melquiond 2008).
float FusedMultiplyAdd(float a, float b, float c) {
  const double product = static_cast<double>(a) * static_cast<double>(b), addend = c;
  const double sum = product + addend;
  const double virtual_addend = sum - product;
  const double error = (product - (sum - virtual_addend)) + (addend - virtual_addend);
  auto bits = __builtin_bit_cast(std::uint64_t, sum);
  const bool is_inexact = error > 0 || error < 0;
  if (is_inexact && (bits & 1) == 0) bits += (error > 0) == (sum > 0) ? 1 : -1;
  return static_cast<float>(__builtin_bit_cast(double, bits));
}
#endif

// IEEE half to single: the exponent moves by 2^112, which makes subnormal numbers right as well.
float FromFloat16(std::uint16_t half) {
  constexpr float kExponentShift = 0x1p112F;
  const std::uint32_t magnitude = half & 0x7FFFU, sign = (half & 0x8000U) << 16;
  const float scaled = __builtin_bit_cast(float, magnitude << 13) * kExponentShift;
  const std::uint32_t special = magnitude >= 0x7C00U ? 0x7F800000U : 0U;
  return __builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, scaled) | special | sign);
}

struct Generic {
  struct Vector {
    static constexpr int kWidth = 4, kRegisters = 8, kMaxCandidates = 8;
    static Vector Load(const float* from) { return {{from[0], from[1], from[2], from[3]}}; }
    static Vector Broadcast(float value) { return {{value, value, value, value}}; }
    static Vector Fma(const Vector& a, const Vector& b, const Vector& c) {
      Vector sum;
      for (int i = 0; i < kWidth; ++i) sum.lanes[i] = FusedMultiplyAdd(a.lanes[i], b.lanes[i], c.lanes[i]);
      return sum;
    }
    void Store(float* to) const {
      for (int i = 0; i < kWidth; ++i) to[i] = lanes[i];
    }

    float lanes[kWidth];
  };

  struct Float32 {
    using Element = float;
    static Vector Load(const Element* from) { return Vector::Load(from); }
  };

  struct Float16 {
    using Element = std::uint16_t;
    static Vector Load(const Element* from) {
      return {{FromFloat16(from[0]), FromFloat16(from[1]), FromFloat16(from[2]), FromFloat16(from[3])}};
    }
  };

  struct BFloat16 {
    using Element = std::uint16_t;
    static float Widened(Element half) { return __builtin_bit_cast(float, static_cast<std::uint32_t>(half) << 16); }
    static Vector Load(const Element* from) {
      return {{Widened(from[0]), Widened(from[1]), Widened(from[2]), Widened(from[3])}};
    }
  };
};

}  // namespace

const MergeInstructions kGenericInstructions = InstructionsOf<Generic>("generic");

}  // namespace lcsc
