// Compiled for x86-64-v4.
#include <immintrin.h>

#include "merge_tile.h"

namespace lcsc {
namespace {

struct Avx512 {
  struct Vector {
    static constexpr int kWidth = 16, kRegisters = 16, kMaxCandidates = 16;
    static Vector Load(const float* from) { return {_mm512_loadu_ps(from)}; }
    static Vector Broadcast(float value) { return {_mm512_set1_ps(value)}; }
    static Vector Fma(Vector a, Vector b, Vector c) { return {_mm512_fmadd_ps(a.lanes, b.lanes, c.lanes)}; }
    void Store(float* to) const { _mm512_storeu_ps(to, lanes); }

    __m512 lanes;
  };

  struct Float32 {
    using Element = float;
    static Vector Load(const Element* from) { return Vector::Load(from); }
  };

  struct Float16 {
    using Element = std::uint16_t;
    static Vector Load(const Element* from) {
      return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
    }
  };

  struct BFloat16 {
    using Element = std::uint16_t;
    static Vector Load(const Element* from) {
      const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
      return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
    }
  };
};

}  // namespace

const MergeInstructions kAvx512Instructions = InstructionsOf<Avx512>("x86-64-v4");

}  // namespace lcsc
