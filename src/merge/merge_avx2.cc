// Compiled for x86-64-v3.
#include <immintrin.h>

#include "merge_tile.h"

namespace lcsc {
namespace {

struct Avx2 {
  struct Vector {
    static constexpr int kWidth = 8, kRegisters = 12, kMaxCandidates = 8;
    static Vector Load(const float* from) { return {_mm256_loadu_ps(from)}; }
    static Vector Broadcast(float value) { return {_mm256_set1_ps(value)}; }
    static Vector Fma(Vector a, Vector b, Vector c) { return {_mm256_fmadd_ps(a.lanes, b.lanes, c.lanes)}; }
    void Store(float* to) const { _mm256_storeu_ps(to, lanes); }

    __m256 lanes;
  };

  struct Float32 {
    using Element = float;
    static Vector Load(const Element* from) { return Vector::Load(from); }
  };

  struct Float16 {
    using Element = std::uint16_t;
    static Vector Load(const Element* from) {
      return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
    }
  };

  struct BFloat16 {
    using Element = std::uint16_t;
    static Vector Load(const Element* from) {
      const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
      return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
    }
  };
};

}  // namespace

const MergeInstructions kAvx2Instructions = InstructionsOf<Avx2>("x86-64-v3");

}  // namespace lcsc
