#include "lcsc/sample/noise.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <span>

#include "lcsc/base/error.h"
#include "lcsc/base/philox.h"

namespace lcsc {

at::Tensor SampleNoise(std::uint64_t seed, SampleRange range, const ImageShape& shape, std::uint32_t part) {
  LCSC_CHECK(range.begin >= 0 && range.begin <= range.end);
  const at::Tensor noise = at::empty({range.size(), shape.channels, shape.height, shape.width}, at::kFloat);
  const auto size = static_cast<std::size_t>(shape.channels * shape.height * shape.width);
  float* values = noise.data_ptr<float>();
  // Below a few ten thousand numbers a second thread costs more than it saves.
  const std::int64_t grain_size = 1 + 32768 / (noise.numel() / std::max<std::int64_t>(range.size(), 1) + 1);
  at::parallel_for(range.begin, range.end, grain_size, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t j = begin; j < end; ++j) {
      RandomStream stream({RandomPurpose::kSampleNoise, seed, static_cast<std::uint64_t>(j), part});
      const auto offset = static_cast<std::size_t>(j - range.begin) * size;
      stream.FillNormal(std::span<float>(values + offset, size));
    }
  });
  return noise;
}

at::Tensor SampleLabels(SampleRange range, std::int64_t label_dim) {
  if (label_dim == 0) return {};
  const at::Tensor labels = at::arange(range.begin, range.end, at::kLong).remainder(label_dim);
  return at::one_hot(labels, label_dim).to(at::kFloat);
}

}  // namespace lcsc
