// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// A number depends on (seed, stream, position) alone, never on who draws it or in which order.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace lcsc {

// One block: a bijection of the 128-bit counter under a 64-bit key.
std::array<std::uint32_t, 4> Philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

// What a stream of random numbers is for. Streams of different purposes never overlap, whatever their seeds.
enum class RandomPurpose : std::uint32_t {
  kSampleNoise = 1,
  kSampleLabel = 2,
  kCandidate = 3,
  kTrainingBatch = 4,
  kTrainingNoise = 5,
  kInitialWeights = 6,
  kTest = 7,
  kMetricSubset = 8,
  kSimulation = 9,
};

// The stream of random numbers that belongs to (purpose, seed, index, part), for example to sample `index` of the noise
// with seed `seed`, of which `part` 0 is the initial noise and part i the i-th fresh noise of a multistep sampler.
// index < 2^32. Cheap to make; copyable; not for sharing between threads.
class RandomStream {
 public:
  struct Id {
    RandomPurpose purpose;
    std::uint64_t seed = 0;
    std::uint64_t index = 0;
    std::uint32_t part = 0;
  };
  explicit RandomStream(const Id& id);

  std::uint32_t NextBits();
  // In (0, 1), never 0 and never 1; 53 bits.
  double NextUniform();
  // Standard normal by Box-Muller.
  double NextNormal();
  // Uniform in [0, bound), bound >= 1, without modulo bias.
  std::uint64_t NextBelow(std::uint64_t bound);
  // Fills with standard normals in float32, pairs from one Philox block (Box-Muller with 32-bit uniforms).
  void FillNormal(std::span<float> values);

 private:
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> block_{};
  int used_ = 4;
  double spare_normal_ = 0;
  bool has_spare_normal_ = false;
};

}  // namespace lcsc
