#include "inception_input.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <vector>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

constexpr std::int64_t kColours = 3;

// One output position along a side: (1 - fraction) * source[low] + fraction * source[high].
struct Tap {
  std::int64_t low, high;
  float fraction;
};
using Taps = std::array<Tap, kInceptionSide>;

Taps TapsOf(std::int64_t size, InceptionProtocol protocol) {
  const double scale = static_cast<double>(size) / kInceptionSide;
  Taps taps;
  for (std::int64_t i = 0; i < kInceptionSide; ++i) {
    const double at = static_cast<double>(i);
    const double source = protocol == InceptionProtocol::kTf1 ? at * scale : std::max(0.0, (at + 0.5) * scale - 0.5);
    const auto low = std::min(static_cast<std::int64_t>(source), size - 1);
    taps[static_cast<std::size_t>(i)] = {low, std::min(low + 1, size - 1),
                                         static_cast<float>(source - static_cast<double>(low))};
  }
  return taps;
}

// value * scale + shift
struct Scaling {
  float scale, shift;
};

Scaling ScalingOf(InceptionProtocol protocol) {
  return protocol == InceptionProtocol::kTf1 ? Scaling{1.0F / 128, -1} : Scaling{2.0F / 255, -1};
}

struct Plane {
  const std::uint8_t* pixels;
  std::int64_t width;
};

// One row between two rows of the source, scaled.
void BlendRows(const Plane& plane, const Tap& tap, const Scaling& scaling, float* row) {
  const std::uint8_t* const low = plane.pixels + tap.low * plane.width;
  const std::uint8_t* const high = plane.pixels + tap.high * plane.width;
  for (std::int64_t x = 0; x < plane.width; ++x) {
    const auto a = static_cast<float>(low[x]), b = static_cast<float>(high[x]);
    row[x] = (a + (b - a) * tap.fraction) * scaling.scale + scaling.shift;
  }
}

// The same along the row; every third value of `out` is one colour's.
void BlendColumns(const float* row, const Taps& columns, float* out) {
  for (std::size_t x = 0; x < columns.size(); ++x) {
    const float low = row[columns[x].low], high = row[columns[x].high];
    out[x * kColours] = low + (high - low) * columns[x].fraction;
  }
}

// The lines of `x` along a dimension, blended as the taps say.
at::Tensor Blend(const at::Tensor& x, std::int64_t dim, const Taps& taps) {
  std::vector<std::int64_t> lows, highs;
  std::vector<float> fractions;
  for (const Tap& tap : taps) {
    lows.push_back(tap.low);
    highs.push_back(tap.high);
    fractions.push_back(tap.fraction);
  }
  std::vector<std::int64_t> along(4, 1);
  along[static_cast<std::size_t>(dim)] = kInceptionSide;
  return at::lerp(x.index_select(dim, at::tensor(lows)), x.index_select(dim, at::tensor(highs)),
                  at::tensor(fractions).view(along));
}

at::Tensor DifferentiableInput(const at::Tensor& images, InceptionProtocol protocol) {
  const Scaling scaling = ScalingOf(protocol);
  const at::Tensor rows = Blend(images.to(at::kFloat), 2, TapsOf(images.size(2), protocol));
  const at::Tensor resized = Blend(rows, 3, TapsOf(images.size(3), protocol)) * scaling.scale + scaling.shift;
  return resized.expand({-1, kColours, -1, -1}).contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace

at::Tensor InceptionInput(const at::Tensor& images, InceptionProtocol protocol) {
  if (images.is_floating_point()) return DifferentiableInput(images, protocol);
  const at::Tensor source = images.contiguous();
  const std::int64_t count = source.size(0), colours = source.size(1), height = source.size(2), width = source.size(3);
  LCSC_CHECK(source.scalar_type() == at::kByte && source.is_cpu() && (colours == 1 || colours == kColours));
  const Taps rows = TapsOf(height, protocol), columns = TapsOf(width, protocol);
  const Scaling scaling = ScalingOf(protocol);
  const at::Tensor output = at::empty({count, kInceptionSide, kInceptionSide, kColours}, at::kFloat);
  const std::uint8_t* const pixels = source.data_ptr<std::uint8_t>();
  float* const out = output.data_ptr<float>();
  at::parallel_for(0, count * kInceptionSide, /*grain_size=*/32, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> row(static_cast<std::size_t>(width));
    for (std::int64_t line = begin; line < end; ++line) {
      const Tap& tap = rows[static_cast<std::size_t>(line % kInceptionSide)];
      for (std::int64_t colour = 0; colour < kColours; ++colour) {
        const std::int64_t plane = line / kInceptionSide * colours + std::min(colour, colours - 1);
        BlendRows({pixels + plane * height * width, width}, tap, scaling, row.data());
        BlendColumns(row.data(), columns, out + line * kInceptionSide * kColours + colour);
      }
    }
  });
  return output.permute({0, 3, 1, 2});
}

}  // namespace lcsc
