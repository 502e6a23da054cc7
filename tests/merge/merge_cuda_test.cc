// The oracle is the merge on the CPU: every bit must agree.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <tuple>

#include "device_merger.h"
#include "lcsc/base/error.h"
#include "lcsc/merge/merger.h"

namespace lcsc {
namespace {

constexpr StorageType kStorages[] = {StorageType::kFloat32, StorageType::kFloat16, StorageType::kBFloat16};

Shard RandomShard(StorageType storage, std::int64_t num_rows, std::int64_t num_columns) {
  at::manual_seed(static_cast<std::uint64_t>(7 * num_rows + num_columns));
  return {{0, num_columns},
          storage,
          at::randn({num_columns}),
          (0.3 * at::randn({num_rows, num_columns})).to(ScalarTypeOf(storage))};
}

Shard Copy(const Shard& shard) { return {shard.range, shard.storage, shard.base.clone(), shard.deltas.clone()}; }

at::Tensor RandomCoefficients(std::int64_t num_candidates, std::int64_t num_rows) {
  const at::Tensor factors = at::randn({num_candidates, num_rows + 1}, at::kDouble);
  return factors.masked_fill(at::rand(factors.sizes()) < 0.1, 0);
}

// With either merger. One element more per candidate: it must stay as it is.
template <typename AnyMerger>
at::Tensor MergeAll(AnyMerger& merger, const at::Tensor& coefficients, std::int64_t num_columns) {
  const at::Tensor merged = at::full({coefficients.size(0), num_columns + 1}, 1234.0F);
  std::vector<std::span<const double>> factors;
  std::vector<std::span<float>> outs;
  for (std::int64_t c = 0; c < coefficients.size(0); ++c) {
    factors.emplace_back(coefficients[c].data_ptr<double>(), static_cast<std::size_t>(coefficients.size(1)));
    outs.emplace_back(merged[c].data_ptr<float>(), static_cast<std::size_t>(num_columns));
  }
  merger.MergeBatch(factors, outs);
  EXPECT_TRUE((merged.select(1, num_columns) == 1234.0F).all().item<bool>()) << "written past the end";
  return merged.narrow(1, 0, num_columns).contiguous();
}

std::int64_t DifferentBits(const at::Tensor& a, const at::Tensor& b) {
  return (a.view(at::kInt) != b.view(at::kInt)).sum().item<std::int64_t>();
}

class MergeCudaTest : public ::testing::TestWithParam<StorageType> {
 protected:
  void SetUp() override {
    if (!CanMergeOnDevice()) GTEST_SKIP() << "no GPU that CUDA can use";
  }

  // On the GPU, resident or within `budget_bytes`, and on the CPU.
  void ExpectTheBitsOfTheCpu(const Shard& shard, std::int64_t num_candidates,
                             const std::optional<std::int64_t>& budget_bytes = {}) {
    const std::int64_t num_rows = shard.deltas.size(0), num_columns = shard.range.size();
    const at::Tensor coefficients = RandomCoefficients(num_candidates, num_rows);
    const Merger cpu(Copy(shard));
    const auto gpu = MakeDeviceMerger(Copy(shard), {.device = 0, .budget_bytes = budget_bytes});
    EXPECT_EQ(gpu->plan().is_resident, !budget_bytes.has_value());
    const at::Tensor expected = MergeAll(cpu, coefficients, num_columns);
    // Twice: the second meets what the first left behind.
    for (int time = 0; time < 2; ++time) {
      EXPECT_EQ(DifferentBits(MergeAll(*gpu, coefficients, num_columns), expected), 0)
          << num_rows << " rows, " << num_columns << " columns, " << num_candidates << " candidates, time " << time;
    }
  }
};

TEST_P(MergeCudaTest, EveryBatchHasTheBitsOfTheCpu) {
  for (const std::int64_t num_candidates : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33}) {
    ExpectTheBitsOfTheCpu(RandomShard(GetParam(), 21, 10'000 + num_candidates), num_candidates);
  }
}

TEST_P(MergeCudaTest, EveryShapeHasTheBitsOfTheCpu) {
  // Rows in flight are 8, rows of a launch 512.
  for (const auto& [num_rows, num_columns] : std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 130},
                                                                                                {1, 1},
                                                                                                {7, 63},
                                                                                                {8, 64},
                                                                                                {9, 65},
                                                                                                {511, 300},
                                                                                                {512, 300},
                                                                                                {513, 300},
                                                                                                {1100, 2049},
                                                                                                {3, 300'001}}) {
    for (const std::int64_t num_candidates : {1, 3, 16}) {
      ExpectTheBitsOfTheCpu(RandomShard(GetParam(), num_rows, num_columns), num_candidates);
    }
  }
}

TEST_P(MergeCudaTest, StreamedBlocksHaveTheBitsOfTheCpu) {
  // Two blocks of about 5000 columns: 9 and more of them, the last one shorter.
  constexpr std::int64_t kRows = 40, kBudget = 2 * 5000 * (4 + kRows * 4 + 64);
  ExpectTheBitsOfTheCpu(RandomShard(GetParam(), kRows, 90'017), 16, kBudget);
  ExpectTheBitsOfTheCpu(RandomShard(GetParam(), kRows, 90'017), 19, kBudget);
}

TEST_P(MergeCudaTest, EveryStoredNumberComesBack) {
  const at::Tensor patterns = at::arange(1 << 16, at::kInt).to(at::kShort);
  const bool is_half = GetParam() == StorageType::kFloat16;
  const at::Tensor numbers =
      patterns.view(is_half ? at::kHalf : at::kBFloat16).to(ScalarTypeOf(GetParam())).unsqueeze(0);
  const auto gpu = MakeDeviceMerger({{0, 1 << 16}, GetParam(), at::zeros({1 << 16}), numbers.clone()}, {});
  const at::Tensor merged = MergeAll(*gpu, at::ones({1, 2}, at::kDouble), 1 << 16)[0];
  const at::Tensor expected = numbers[0].to(at::kFloat);
  EXPECT_TRUE(at::equal(merged.isnan(), expected.isnan()));
  EXPECT_TRUE(at::equal(merged.nan_to_num(0.0), expected.nan_to_num(0.0)));
}

TEST_P(MergeCudaTest, WhatIsNotFiniteIsNotHidden) {
  Shard shard = RandomShard(GetParam(), 3, 200);
  shard.deltas[1][77] = std::numeric_limits<float>::infinity();
  const auto gpu = MakeDeviceMerger(std::move(shard), {});
  const at::Tensor merged = MergeAll(*gpu, at::zeros({3, 4}, at::kDouble), 200);
  for (int c = 0; c < 3; ++c) EXPECT_TRUE(std::isnan(merged[c][77].item<float>())) << "0 times infinity";
  EXPECT_EQ(merged.isnan().sum().item<std::int64_t>(), 3);
}

INSTANTIATE_TEST_SUITE_P(, MergeCudaTest, ::testing::ValuesIn(kStorages),
                         [](const auto& info) { return std::string(StorageTypeName(info.param)); });

}  // namespace
}  // namespace lcsc
