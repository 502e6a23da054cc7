#include "group_norm_kernel.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

// GCC compiles a function once for each instruction set, chosen between when the program starts, and knows glibc's
// vector forms of expf once they are declared.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
extern "C" __attribute__((simd("notinbranch"))) float expf(float) noexcept;
#define LCSC_FOR_EACH_INSTRUCTION_SET __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define LCSC_FOR_EACH_INSTRUCTION_SET
#endif

namespace lcsc {
namespace {

// Neighbouring numbers of whole pixels, and how many of them make a tile: a few pixels, so that loops are long where
// there are few channels.
struct Pixels {
  const float* x;
  std::int64_t size, tile;
};

LCSC_FOR_EACH_INSTRUCTION_SET void AddUp(Pixels pixels, float* sums) {
  for (std::int64_t begin = 0; begin < pixels.size; begin += pixels.tile) {
    const std::int64_t size = std::min(pixels.tile, pixels.size - begin);
    const float* x = pixels.x + begin;
#pragma omp simd
    for (std::int64_t i = 0; i < size; ++i) sums[i] += x[i];
  }
}

LCSC_FOR_EACH_INSTRUCTION_SET void AddUpSquares(Pixels pixels, const float* centre, float* sums) {
  for (std::int64_t begin = 0; begin < pixels.size; begin += pixels.tile) {
    const std::int64_t size = std::min(pixels.tile, pixels.size - begin);
    const float* x = pixels.x + begin;
#pragma omp simd
    for (std::int64_t i = 0; i < size; ++i) {
      const float deviation = x[i] - centre[i];
      sums[i] += deviation * deviation;
    }
  }
}

struct Affine {
  const float* scale;
  const float* offset;
};

LCSC_FOR_EACH_INSTRUCTION_SET void Map(Pixels pixels, Affine affine, float* out) {
  const float *scale = affine.scale, *offset = affine.offset;
  for (std::int64_t begin = 0; begin < pixels.size; begin += pixels.tile) {
    const std::int64_t size = std::min(pixels.tile, pixels.size - begin);
    const float* x = pixels.x + begin;
    float* y = out + begin;
#pragma omp simd
    for (std::int64_t i = 0; i < size; ++i) y[i] = x[i] * scale[i] + offset[i];
  }
}

LCSC_FOR_EACH_INSTRUCTION_SET void MapSilu(Pixels pixels, Affine affine, float* out) {
  const float *scale = affine.scale, *offset = affine.offset;
  for (std::int64_t begin = 0; begin < pixels.size; begin += pixels.tile) {
    const std::int64_t size = std::min(pixels.tile, pixels.size - begin);
    const float* x = pixels.x + begin;
    float* y = out + begin;
#pragma omp simd
    for (std::int64_t i = 0; i < size; ++i) {
      const float z = x[i] * scale[i] + offset[i];
      y[i] = z / (1 + ::expf(-z));
    }
  }
}

// One thread's work on images of one shape.
class ImageNorm {
 public:
  explicit ImageNorm(const GroupNormInputs& inputs)
      : inputs_(inputs),
        channels_(inputs.x.size(1)),
        pixels_(inputs.x.size(2) * inputs.x.size(3)),
        pixels_in_tile_(std::max<std::int64_t>(1, kTile / channels_)),
        sums_(Index(tile())),
        centre_(sums_.size()),
        scale_(sums_.size()),
        offset_(sums_.size()),
        totals_(static_cast<std::size_t>(channels_)) {}

  void Normalise(std::int64_t image, const float* x, float* y) {
    const float* shift = RowOf(inputs_.shift, image);
    const std::vector<double> mean = MeanOfGroups(x, shift);
    for (std::int64_t c = 0; c < channels_; ++c) centre_[Index(c)] = static_cast<float>(mean[Index(c)] - At(shift, c));
    Repeat(centre_);
    const std::vector<double> variance = VarianceOfGroups(x);
    const float *weight = inputs_.weight.data_ptr<float>(), *bias = inputs_.bias.data_ptr<float>();
    const float *gain = RowOf(inputs_.gain, image), *offset = RowOf(inputs_.offset, image);
    for (std::int64_t c = 0; c < channels_; ++c) {
      const double factor = 1 + At(gain, c);
      const double scale = factor * weight[c] / std::sqrt(variance[Index(c)] + inputs_.eps);
      scale_[Index(c)] = static_cast<float>(scale);
      offset_[Index(c)] =
          static_cast<float>(factor * bias[c] + At(offset, c) + (At(shift, c) - mean[Index(c)]) * scale);
    }
    Repeat(scale_);
    Repeat(offset_);
    const Affine affine = {scale_.data(), offset_.data()};
    inputs_.silu ? MapSilu(All(x), affine, y) : Map(All(x), affine, y);
  }

 private:
  static constexpr std::int64_t kTile = 128;         // floats, or one pixel if that has more
  static constexpr std::int64_t kTilesInFloat = 64;  // summed before float64 takes over

  static std::size_t Index(std::int64_t i) { return static_cast<std::size_t>(i); }
  static double At(const float* row, std::int64_t i) { return row == nullptr ? 0.0 : row[i]; }
  const float* RowOf(const at::Tensor& table, std::int64_t image) const {
    return table.defined() ? table.data_ptr<float>() + image * channels_ : nullptr;
  }

  std::int64_t tile() const { return pixels_in_tile_ * channels_; }
  Pixels All(const float* x) const { return {x, pixels_ * channels_, tile()}; }

  // One pixel's values for all pixels of the tile.
  void Repeat(std::vector<float>& values) const {
    for (std::int64_t i = channels_; i < tile(); i += channels_) {
      std::copy_n(values.begin(), channels_, values.begin() + i);
    }
  }

  // Sums `add` over all pixels into totals_, one for each channel.
  template <typename Add>
  void Total(const float* x, Add add) {
    std::fill(totals_.begin(), totals_.end(), 0.0);
    const std::int64_t size = pixels_ * channels_, step = kTilesInFloat * tile();
    for (std::int64_t begin = 0; begin < size; begin += step) {
      std::fill(sums_.begin(), sums_.end(), 0.0F);
      add(Pixels{x + begin, std::min(step, size - begin), tile()}, sums_.data());
      AddUp({sums_.data() + channels_, tile() - channels_, channels_}, sums_.data());
      for (std::int64_t c = 0; c < channels_; ++c) totals_[Index(c)] += sums_[Index(c)];
    }
  }

  // totals_, averaged over each group; for each channel.
  std::vector<double> AverageOfGroups() const {
    const std::int64_t in_group = channels_ / inputs_.groups;
    std::vector<double> averages(totals_.size());
    for (std::int64_t first = 0; first < channels_; first += in_group) {
      double sum = 0;
      for (std::int64_t c = first; c < first + in_group; ++c) sum += totals_[Index(c)];
      const double average = sum / static_cast<double>(in_group * pixels_);
      for (std::int64_t c = first; c < first + in_group; ++c) averages[Index(c)] = average;
    }
    return averages;
  }

  std::vector<double> MeanOfGroups(const float* x, const float* shift) {
    Total(x, AddUp);
    for (std::int64_t c = 0; c < channels_; ++c) totals_[Index(c)] += static_cast<double>(pixels_) * At(shift, c);
    return AverageOfGroups();
  }

  // About centre_.
  std::vector<double> VarianceOfGroups(const float* x) {
    Total(x, [&](Pixels pixels, float* sums) { AddUpSquares(pixels, centre_.data(), sums); });
    return AverageOfGroups();
  }

  const GroupNormInputs& inputs_;
  std::int64_t channels_, pixels_, pixels_in_tile_;
  std::vector<float> sums_, centre_, scale_, offset_;  // of a tile
  std::vector<double> totals_;                         // [c]
};

}  // namespace

bool FitsGroupNormKernel(const at::Tensor& x) {
  return c10::InferenceMode::is_enabled() && x.is_cpu() && x.scalar_type() == at::kFloat && x.dim() == 4 &&
         x.is_contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor GroupNormKernel(const GroupNormInputs& inputs) {
  GroupNormInputs rows = inputs;
  for (at::Tensor* table : {&rows.shift, &rows.gain, &rows.offset}) {
    if (table->defined()) *table = table->to(at::kFloat).expand({rows.x.size(0), rows.x.size(1)}).contiguous();
  }
  at::Tensor y = at::empty_like(rows.x, rows.x.options(), at::MemoryFormat::ChannelsLast);
  const std::int64_t image_size = rows.x.numel() / std::max<std::int64_t>(1, rows.x.size(0));
  const float* from = rows.x.data_ptr<float>();
  float* to = y.data_ptr<float>();
  at::parallel_for(0, rows.x.size(0), /*grain_size=*/1, [&](std::int64_t begin, std::int64_t end) {
    ImageNorm norm(rows);
    for (std::int64_t i = begin; i < end; ++i) norm.Normalise(i, from + i * image_size, to + i * image_size);
  });
  return y;
}

}  // namespace lcsc
