// Noise and labels that belong to the sample, not to the rank or the batch.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace lcsc {

// A contiguous range of sample indices.
struct SampleRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
};

struct ImageShape {
  std::int64_t channels = 0, height = 0, width = 0;
};

// float32 [range.size(), c, h, w] of standard normals; sample j depends on (seed, j, part) alone (Philox).
// part 0 is the initial noise, part i the i-th fresh noise of a sampler.
at::Tensor SampleNoise(std::uint64_t seed, SampleRange range, const ImageShape& shape, std::uint32_t part = 0);

// One-hot float32 [range.size(), label_dim]: sample j has label j mod label_dim. Undefined when label_dim is 0.
at::Tensor SampleLabels(SampleRange range, std::int64_t label_dim);

}  // namespace lcsc
