// Resampling convolutions against their definition, written out as loops in float64.
#include "lcsc/model/layers.h"

#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

namespace lcsc {
namespace {

// y[o] = sum_k x[2 o + k - padding] f[k] in both directions: filter, then keep every second pixel.
at::Tensor FilterDown(const at::Tensor& x, const at::Tensor& filter, std::int64_t padding) {
  const at::Tensor padded = at::constant_pad_nd(x, {padding, padding, padding, padding});
  const std::int64_t taps = filter.size(0), size = (padded.size(2) - taps) / 2 + 1;
  at::Tensor y = at::zeros({x.size(0), x.size(1), size, size}, at::kDouble);
  for (std::int64_t i = 0; i < size; ++i) {
    for (std::int64_t j = 0; j < size; ++j) {
      const at::Tensor window = padded.narrow(2, 2 * i, taps).narrow(3, 2 * j, taps);
      y.select(3, j).select(2, i).copy_((window * filter).sum({2, 3}));
    }
  }
  return y;
}

// Every pixel leaves four times the filter at twice its place; `padding` pixels of the border are cut off.
at::Tensor FilterUp(const at::Tensor& x, const at::Tensor& filter, std::int64_t padding) {
  const std::int64_t taps = filter.size(0), size = 2 * (x.size(2) - 1) + taps;
  at::Tensor y = at::zeros({x.size(0), x.size(1), size, size}, at::kDouble);
  for (std::int64_t i = 0; i < x.size(2); ++i) {
    for (std::int64_t j = 0; j < x.size(3); ++j) {
      const at::Tensor pixel = x.narrow(2, i, 1).narrow(3, j, 1);
      y.narrow(2, 2 * i, taps).narrow(3, 2 * j, taps).add_(pixel * filter * 4);
    }
  }
  return y.narrow(2, padding, size - 2 * padding).narrow(3, padding, size - 2 * padding);
}

at::Tensor Convolve(const at::Tensor& x, const Conv2d& layer, std::int64_t padding) {
  const auto parameters = layer.named_parameters();
  return at::conv2d(x, parameters["weight"].to(at::kDouble), {}, 1, padding) +
         parameters["bias"].to(at::kDouble).view({1, -1, 1, 1});
}

struct Case {
  std::vector<double> taps;
  bool fused;
};

class ResamplingConv2d : public testing::TestWithParam<Case> {
 protected:
  Conv2d Layer(Resample resample) const {
    Conv2d layer({.in_channels = 3,
                  .out_channels = 5,
                  .resample = resample,
                  .resample_filter = GetParam().taps,
                  .fused_resample = GetParam().fused,
                  .init = {}});
    layer.named_parameters()["bias"].detach().normal_();
    return layer;
  }
  void ExpectClose(const at::Tensor& found, const at::Tensor& expected) const {
    ASSERT_EQ(found.sizes(), expected.sizes());
    EXPECT_LT((found - expected).abs().max().item<double>(), 1e-5);
  }

  const at::Tensor x_ = at::randn({2, 3, 8, 8});
  const at::Tensor taps_ = at::tensor(GetParam().taps, at::kDouble) / at::tensor(GetParam().taps, at::kDouble).sum();
  const at::Tensor filter_ = taps_.ger(taps_);
  const std::int64_t filter_padding_ = (taps_.size(0) - 1) / 2;
};

TEST_P(ResamplingConv2d, HalvesTheResolution) {
  const Conv2d layer = Layer(Resample::kDown);
  const at::Tensor x = x_.to(at::kDouble);
  if (GetParam().fused) {
    // One padding for both; the bias is not filtered, which sums to 1 anyway.
    ExpectClose(layer.Forward(x_), FilterDown(Convolve(x, layer, 1 + filter_padding_), filter_, 0));
  } else {
    ExpectClose(layer.Forward(x_), Convolve(FilterDown(x, filter_, filter_padding_), layer, 1));
  }
}

TEST_P(ResamplingConv2d, DoublesTheResolution) {
  const Conv2d layer = Layer(Resample::kUp);
  const std::int64_t cut = GetParam().fused ? std::max<std::int64_t>(filter_padding_ - 1, 0) : filter_padding_;
  const std::int64_t padding = GetParam().fused ? std::max<std::int64_t>(1 - filter_padding_, 0) : 1;
  ExpectClose(layer.Forward(x_), Convolve(FilterUp(x_.to(at::kDouble), filter_, cut), layer, padding));
}

INSTANTIATE_TEST_SUITE_P(Filters, ResamplingConv2d,
                         testing::Values(Case{{1, 1}, false}, Case{{1, 1}, true}, Case{{1, 3, 3, 1}, false},
                                         Case{{1, 3, 3, 1}, true}, Case{{1, 2}, false}));

TEST(Conv2d, MultipliesItsResultByTheGain) {
  const Conv2d layer({.in_channels = 3, .out_channels = 5, .init = {}});
  const at::Tensor x = at::randn({2, 3, 8, 8});
  EXPECT_LT((layer.Forward(x, 0.5) - layer.Forward(x) * 0.5).abs().max().item<double>(), 1e-6);
}

TEST(GroupNorm, GivesEachGroupMeanZeroAndVarianceOne) {
  const GroupNorm layer({.channels = 16});
  const at::Tensor y = layer.Forward(at::randn({3, 16, 6, 6}) * 4 + 2).view({3, 4, 4 * 36});
  EXPECT_LT(y.mean(2).abs().max().item<double>(), 1e-5);
  EXPECT_LT((y.square().mean(2) - 1).abs().max().item<double>(), 1e-4);
}

TEST(NoiseEmbedding, HasSinesThenCosinesAtFrequenciesFromOneToATenThousandth) {
  const NoiseEmbedding layer({.type = EmbeddingType::kPositional, .channels = 6});
  const at::Tensor embedding = layer.Forward(at::tensor({0.7}, at::kFloat));
  const at::Tensor angles = at::tensor({0.7, 0.007, 0.00007}, at::kDouble);
  EXPECT_LT((embedding - at::cat({angles.sin(), angles.cos()})).abs().max().item<double>(), 1e-6);
}

class FusedGroupNorm : public testing::TestWithParam<std::vector<std::int64_t>> {};

// Against the definition in float64, in every combination of what stands around it.
TEST_P(FusedGroupNorm, ComputesTheDefinition) {
  const std::vector<std::int64_t>& shape = GetParam();
  const std::int64_t n = shape[0], channels = shape[1];
  const c10::InferenceMode no_gradients;
  at::manual_seed(5);
  GroupNorm layer({.channels = channels, .eps = 1e-5});
  for (at::Tensor& parameter : layer.parameters()) parameter.normal_();
  const at::Tensor x = (at::randn(shape) * 3 + 2).contiguous(at::MemoryFormat::ChannelsLast);
  for (int choice = 0; choice < 16; ++choice) {
    AroundNorm around;
    const std::int64_t rows = (choice & 8) != 0 ? 1 : n;  // one for all images, or one for each
    if ((choice & 1) != 0) around.shift = at::randn({rows, channels});
    if ((choice & 2) != 0) around.gain = at::randn({rows, channels}), around.offset = at::randn({rows, channels});
    around.silu = (choice & 4) != 0;
    const auto column = [](const at::Tensor& table) { return table.to(at::kDouble).unsqueeze(2).unsqueeze(3); };
    at::Tensor z = x.to(at::kDouble).contiguous();
    if (around.shift.defined()) z = z + column(around.shift);
    z = at::group_norm(z, std::min<std::int64_t>(32, channels / 4), layer.named_parameters()["weight"].to(at::kDouble),
                       layer.named_parameters()["bias"].to(at::kDouble), 1e-5);
    if (around.gain.defined()) z = z * (column(around.gain) + 1) + column(around.offset);
    if (around.silu) z = at::silu(z);
    const at::Tensor found = layer.Forward(x, around);
    ASSERT_EQ(found.sizes(), z.sizes());
    EXPECT_LT((found - z).abs().max().item<double>(), 2e-5) << "choice " << choice;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, FusedGroupNorm,
                         testing::Values(std::vector<std::int64_t>{250, 16, 8, 8},
                                         std::vector<std::int64_t>{3, 4, 1, 1},
                                         std::vector<std::int64_t>{2, 128, 32, 32},
                                         std::vector<std::int64_t>{5, 36, 7, 3},
                                         std::vector<std::int64_t>{1, 2048, 3, 3}));

}  // namespace
}  // namespace lcsc
