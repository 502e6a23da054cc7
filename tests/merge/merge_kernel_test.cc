#include "merge_kernel.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <tuple>

#include "lcsc/base/error.h"
#include "lcsc/merge/merger.h"

namespace lcsc {
namespace {

constexpr StorageType kStorages[] = {StorageType::kFloat32, StorageType::kFloat16, StorageType::kBFloat16};

Shard RandomShard(StorageType storage, std::int64_t num_rows, std::int64_t num_columns) {
  at::manual_seed(static_cast<std::uint64_t>(100 * num_rows + num_columns));
  return {{0, num_columns},
          storage,
          at::randn({num_columns}),
          (0.3 * at::randn({num_rows, num_columns})).to(ScalarTypeOf(storage))};
}

// [candidates, K]; some are 0.
at::Tensor RandomCoefficients(std::int64_t num_candidates, std::int64_t num_rows) {
  const at::Tensor factors = at::randn({num_candidates, num_rows + 1}, at::kDouble);
  return factors.masked_fill(at::rand(factors.sizes()) < 0.1, 0);
}

// Each candidate as the contract's chain, element by element with the C library's fused multiply-add.
at::Tensor ByTheContract(const Shard& shard, const at::Tensor& coefficients) {
  const at::Tensor deltas = shard.deltas.to(at::kFloat), factors = coefficients.to(at::kFloat);
  const at::Tensor merged = shard.base.repeat({coefficients.size(0), 1});
  for (std::int64_t c = 0; c < merged.size(0); ++c) {
    auto* out = merged[c].data_ptr<float>();
    for (std::int64_t row = 0; row < deltas.size(0); ++row) {
      const auto* delta = deltas[row].data_ptr<float>();
      const float factor = factors[c][row + 1].item<float>();
      for (std::int64_t j = 0; j < deltas.size(1); ++j) out[j] = std::fmaf(factor, delta[j], out[j]);
    }
  }
  return merged;
}

at::Tensor MergeAll(const Shard& shard, const at::Tensor& coefficients, const MergeInstructions& instructions) {
  // One element more per candidate: it must stay as it is.
  const at::Tensor merged = at::full({coefficients.size(0), shard.range.size() + 1}, 1234.0F);
  std::vector<std::span<const double>> factors;
  std::vector<std::span<float>> outs;
  for (std::int64_t c = 0; c < coefficients.size(0); ++c) {
    factors.emplace_back(coefficients[c].data_ptr<double>(), static_cast<std::size_t>(coefficients.size(1)));
    outs.emplace_back(merged[c].data_ptr<float>(), static_cast<std::size_t>(shard.range.size()));
  }
  MergeRowsInto(RowsOf(shard), factors, outs, instructions);
  EXPECT_TRUE((merged.select(1, shard.range.size()) == 1234.0F).all().item<bool>()) << "written past the end";
  return merged.narrow(1, 0, shard.range.size()).contiguous();
}

bool SameBits(const at::Tensor& a, const at::Tensor& b) {
  const auto size = static_cast<std::size_t>(a.numel());
  return a.sizes() == b.sizes() && std::memcmp(a.data_ptr<float>(), b.data_ptr<float>(), size * sizeof(float)) == 0;
}

class MergeKernelTest : public ::testing::TestWithParam<std::tuple<std::size_t, StorageType>> {
 protected:
  void SetUp() override {
    const std::vector<MergeInstructions> available = AvailableInstructions();
    if (std::get<0>(GetParam()) >= available.size()) GTEST_SKIP() << "this machine has fewer instruction sets";
    instructions_ = available[std::get<0>(GetParam())];
    storage_ = std::get<1>(GetParam());
  }
  void TearDown() override { at::set_num_threads(1); }

  MergeInstructions instructions_;
  StorageType storage_ = StorageType::kFloat32;
};

TEST_P(MergeKernelTest, EveryBatchHasTheBitsOfTheContract) {
  for (const std::int64_t num_candidates : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 33}) {
    const Shard shard = RandomShard(storage_, 5, 1000 + 37 * num_candidates);
    const at::Tensor coefficients = RandomCoefficients(num_candidates, 5);
    EXPECT_TRUE(SameBits(MergeAll(shard, coefficients, instructions_), ByTheContract(shard, coefficients)))
        << num_candidates << " candidates, " << instructions_.name;
  }
}

TEST_P(MergeKernelTest, EveryShapeHasTheBitsOfTheContract) {
  // Blocks of 8 and of up to 100 rows, of 256 to 8192 columns, units of 64 columns, and what is left of each.
  for (const auto& [num_rows, num_columns] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {0, 130}, {1, 1}, {1, 63}, {2, 64}, {3, 65}, {8, 127}, {9, 8192}, {17, 8321}, {101, 577}, {201, 1025}}) {
    const Shard shard = RandomShard(storage_, num_rows, num_columns);
    for (const std::int64_t num_candidates : {1, 3, 16}) {
      const at::Tensor coefficients = RandomCoefficients(num_candidates, num_rows);
      EXPECT_TRUE(SameBits(MergeAll(shard, coefficients, instructions_), ByTheContract(shard, coefficients)))
          << num_rows << " rows, " << num_columns << " columns, " << num_candidates << " candidates";
    }
  }
}

TEST_P(MergeKernelTest, ThreadsChangeNoBit) {
  const Shard shard = RandomShard(storage_, 6, 70'001);
  const at::Tensor coefficients = RandomCoefficients(17, 6);
  at::set_num_threads(1);
  const at::Tensor alone = MergeAll(shard, coefficients, instructions_);
  for (const int num_threads : {2, 3, 5}) {
    at::set_num_threads(num_threads);
    EXPECT_TRUE(SameBits(MergeAll(shard, coefficients, instructions_), alone)) << num_threads << " threads";
  }
}

TEST_P(MergeKernelTest, StaysWithinRoundingOfDoublePrecision) {
  constexpr std::int64_t kRows = 150;
  const Shard shard = RandomShard(storage_, kRows, 3001);
  const at::Tensor coefficients = RandomCoefficients(16, kRows);
  const at::Tensor rows = shard.deltas.to(at::kDouble), weights = coefficients.slice(1, 1);
  const at::Tensor expected = shard.base.to(at::kDouble) + at::matmul(weights, rows);
  // Each of the operations, and each coefficient, is rounded by at most 2^-24 of its size.
  const at::Tensor bound =
      (shard.base.abs().to(at::kDouble) + at::matmul(weights.abs(), rows.abs())) * (kRows + 2) * std::ldexp(1.0, -24);
  const at::Tensor error = (MergeAll(shard, coefficients, instructions_).to(at::kDouble) - expected).abs();
  std::printf("%s, %s: largest error %.3g, bound there %.3g\n", instructions_.name, StorageTypeName(storage_),
              error.max().item<double>(), bound.flatten()[error.argmax()].item<double>());
  EXPECT_TRUE((error <= bound).all().item<bool>());
}

// Coefficient 1 on a base of 0 gives the delta back: every 16-bit pattern there is, subnormal numbers among them.
TEST_P(MergeKernelTest, EveryStoredNumberComesBack) {
  const at::Tensor patterns = at::arange(1 << 16, at::kInt).to(at::kShort);
  const bool is_half = storage_ == StorageType::kFloat16;
  const at::Tensor numbers = patterns.view(is_half ? at::kHalf : at::kBFloat16).to(ScalarTypeOf(storage_)).unsqueeze(0);
  const Shard shard{{0, 1 << 16}, storage_, at::zeros({1 << 16}), numbers};
  const at::Tensor expected = numbers[0].to(at::kFloat);
  for (const std::int64_t num_candidates : {1, 16}) {
    const at::Tensor ones = at::ones({num_candidates, 2}, at::kDouble);
    const at::Tensor merged = MergeAll(shard, ones, instructions_);
    for (std::int64_t c = 0; c < num_candidates; ++c) {
      EXPECT_TRUE(at::equal(merged[c].isnan(), expected.isnan()));
      EXPECT_TRUE(at::equal(merged[c].nan_to_num(0.0), expected.nan_to_num(0.0)));
      EXPECT_TRUE(at::equal(merged[c].isinf(), expected.isinf()));
    }
  }
}

TEST_P(MergeKernelTest, WhatIsNotFiniteIsNotHidden) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Shard shard = RandomShard(storage_, 3, 200);
  shard.deltas[0][7] = kInfinity;
  shard.deltas[1][70] = -kInfinity;
  shard.deltas[2][150] = std::nan("");
  shard.base[190] = kInfinity;
  const at::Tensor row = at::tensor({0.0, 2.0, 0.0, 0.5}, at::kDouble);
  const at::Tensor merged = MergeAll(shard, row.repeat({5, 1}), instructions_);
  for (std::int64_t c = 0; c < 5; ++c) {
    EXPECT_EQ(merged[c][7].item<double>(), kInfinity);
    EXPECT_TRUE(std::isnan(merged[c][70].item<double>())) << "0 times infinity";
    EXPECT_TRUE(std::isnan(merged[c][150].item<double>()));
    EXPECT_EQ(merged[c][190].item<double>(), kInfinity);
    EXPECT_EQ(at::isfinite(merged[c]).sum().item<std::int64_t>(), 196);
  }
}

INSTANTIATE_TEST_SUITE_P(EveryInstructionSet, MergeKernelTest,
                         ::testing::Combine(::testing::Range<std::size_t>(0, 3), ::testing::ValuesIn(kStorages)),
                         [](const auto& found) {
                           return "Set" + std::to_string(std::get<0>(found.param)) + "_" +
                                  StorageTypeName(std::get<1>(found.param));
                         });

// Sums that an addition after a rounded product gets wrong, and halfway cases that rounding twice gets wrong.
TEST(MergeKernelRoundingTest, IsFusedInEveryInstructionSet) {
  const float tiny = std::ldexp(1.0F, -18), ulp = std::ldexp(1.0F, -23);
  const std::vector<float> bases = {-1.0F, 1.0F + ulp, 1.0F, -1.0F, std::ldexp(1.0F, -126)};
  const std::vector<float> deltas = {1.0F + tiny, ulp / 2 * (1 - tiny), std::ldexp(1.0F, -100), 1.0F, -ulp};
  const double factor = 1.0 + tiny;
  for (const MergeInstructions& instructions : AvailableInstructions()) {
    const Shard shard{{0, 5}, StorageType::kFloat32, at::tensor(bases), at::tensor(deltas).unsqueeze(0)};
    const at::Tensor merged = MergeAll(shard, at::tensor({0.0, factor}, at::kDouble).unsqueeze(0), instructions)[0];
    for (std::size_t j = 0; j < bases.size(); ++j) {
      const float expected = std::fmaf(static_cast<float>(factor), deltas[j], bases[j]);
      EXPECT_EQ(merged[static_cast<std::int64_t>(j)].item<float>(), expected) << instructions.name << " case " << j;
    }
  }
}

TEST(MergerBatchTest, EqualsOneByOneAndRefusesWhatDoesNotFit) {
  const Shard shard = RandomShard(StorageType::kBFloat16, 4, 333);
  const Merger merger(shard);
  const std::vector<double> a = {0.5, 0.25, 0.0, -1.0, 1.25}, b = {0.1, 0.2, 0.3, 0.4, 0.0}, shorter = {0.5, 0.5};
  std::vector<float> alone_a(333), alone_b(333), batch_a(333), batch_b(333);
  merger.Merge(a, alone_a);
  merger.Merge(b, alone_b);
  const std::vector<std::span<float>> outs = {batch_a, batch_b};
  merger.MergeBatch(std::vector<std::span<const double>>{a, b}, outs);
  EXPECT_EQ(batch_a, alone_a);
  EXPECT_EQ(batch_b, alone_b);
  merger.MergeBatch({}, {});
  EXPECT_THROW(merger.MergeBatch(std::vector<std::span<const double>>{a}, outs), InvariantError);
  EXPECT_THROW(merger.MergeBatch(std::vector<std::span<const double>>{a, shorter}, outs), InvariantError);
  batch_b.pop_back();
  EXPECT_THROW(
      merger.MergeBatch(std::vector<std::span<const double>>{a, b}, std::vector<std::span<float>>{batch_a, batch_b}),
      InvariantError);
}

}  // namespace
}  // namespace lcsc
