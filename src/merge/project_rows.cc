#include "project_rows.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

constexpr std::int64_t kBlockColumns = 4096;  // 32 KiB of the gradient, which stay in the first cache

// In eight chains, so that no addition waits for the one before.
double Dot(const float* row, std::span<const double> gradient) {
  std::array<double, 8> sums{};
  std::size_t j = 0;
  for (; j + sums.size() <= gradient.size(); j += sums.size()) {
    for (std::size_t lane = 0; lane < sums.size(); ++lane) sums[lane] += row[j + lane] * gradient[j + lane];
  }
  for (; j < gradient.size(); ++j) sums[0] += row[j] * gradient[j];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

}  // namespace

void ProjectRows(const Shard& shard, std::span<const double> gradient, std::span<double> sums) {
  const std::int64_t num_rows = shard.deltas.size(0), num_columns = shard.range.size();
  LCSC_CHECK(static_cast<std::int64_t>(gradient.size()) == num_columns);
  LCSC_CHECK(static_cast<std::int64_t>(sums.size()) == num_rows + 1);
  for (std::int64_t begin = 0; begin < num_columns; begin += kBlockColumns) {
    const std::int64_t size = std::min(kBlockColumns, num_columns - begin);
    const at::Tensor rows = shard.deltas.narrow(1, begin, size).to(at::kFloat);  // the shard's own if it is float32
    const std::int64_t stride = rows.stride(0);
    const float* const first = rows.data_ptr<float>();
    const auto block = gradient.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(size));
    at::parallel_for(0, num_rows, /*grain_size=*/8, [&](std::int64_t first_row, std::int64_t last_row) {
      for (std::int64_t i = first_row; i < last_row; ++i) {
        sums[static_cast<std::size_t>(i) + 1] += Dot(first + i * stride, block);
      }
    });
  }
}

}  // namespace lcsc
