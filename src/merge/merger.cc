#include "lcsc/merge/merger.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "lcsc/base/error.h"

// The loops are compiled for several instruction sets; the widest that the machine has is chosen when the program
// loads.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define LCSC_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LCSC_MULTIVERSION
#endif

namespace lcsc {
namespace {

// Elements of a block: out and one row of deltas stay in the first-level cache.
constexpr std::int64_t kBlock = 4096;

LCSC_MULTIVERSION void AddScaled(const float* row, float scale, std::int64_t n, float* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] += scale * row[i];
}

LCSC_MULTIVERSION void AddScaledBFloat16(const std::uint16_t* row, float scale, std::int64_t n, float* out) {
  for (std::int64_t i = 0; i < n; ++i) {
    out[i] += scale * __builtin_bit_cast(float, static_cast<std::uint32_t>(row[i]) << 16);
  }
}

LCSC_MULTIVERSION void AddScaledFloat16(const _Float16* row, float scale, std::int64_t n, float* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] += scale * static_cast<float>(row[i]);
}

void AddScaledRow(const Shard& shard, std::int64_t row, std::int64_t begin, std::int64_t n, float scale, float* out) {
  const std::int64_t first = row * shard.deltas.size(1) + begin;
  switch (shard.storage) {
    case StorageType::kFloat32:
      return AddScaled(static_cast<const float*>(shard.deltas.data_ptr()) + first, scale, n, out);
    case StorageType::kBFloat16:
      return AddScaledBFloat16(static_cast<const std::uint16_t*>(shard.deltas.data_ptr()) + first, scale, n, out);
    case StorageType::kFloat16:
      return AddScaledFloat16(static_cast<const _Float16*>(shard.deltas.data_ptr()) + first, scale, n, out);
  }
}

}  // namespace

Merger::Merger(Shard shard) : shard_(std::move(shard)) {
  LCSC_CHECK(shard_.base.is_contiguous() && shard_.deltas.is_contiguous());
  LCSC_CHECK(shard_.base.numel() == num_parameters() && shard_.deltas.size(1) == num_parameters());
}

void Merger::Merge(std::span<const double> coefficients, std::span<float> out) const {
  LCSC_CHECK(static_cast<std::int64_t>(coefficients.size()) == num_checkpoints());
  LCSC_CHECK(static_cast<std::int64_t>(out.size()) == num_parameters());
  const auto* base = static_cast<const float*>(shard_.base.data_ptr());
  at::parallel_for(0, num_parameters(), 16 * kBlock, [&](std::int64_t range_begin, std::int64_t range_end) {
    for (std::int64_t begin = range_begin; begin < range_end; begin += kBlock) {
      const std::int64_t n = std::min(kBlock, range_end - begin);
      float* block = out.data() + begin;
      std::copy_n(base + begin, n, block);
      for (std::int64_t row = 0; row + 1 < num_checkpoints(); ++row) {
        const auto scale = static_cast<float>(coefficients[static_cast<std::size_t>(row + 1)]);
        if (scale != 0) AddScaledRow(shard_, row, begin, n, scale, block);
      }
    }
  });
}

}  // namespace lcsc
