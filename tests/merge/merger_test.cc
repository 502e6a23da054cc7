#include "lcsc/merge/merger.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "lcsc/base/error.h"
#include "lcsc/merge/merged_weights.h"
#include "lcsc/store/packer.h"

namespace lcsc {
namespace {

constexpr std::int64_t kCheckpoints = 7;
constexpr std::int64_t kParameters = 70'001;  // several blocks and a remainder

Shard RandomShard(StorageType storage) {
  at::manual_seed(4);
  Shard shard;
  shard.range = {0, kParameters};
  shard.storage = storage;
  shard.base = at::randn({kParameters});
  shard.deltas = (0.1 * at::randn({kCheckpoints - 1, kParameters})).to(ScalarTypeOf(storage));
  return shard;
}

std::vector<double> Coefficients() { return {0.35, -0.4, 1.7, 0.0, 0.25, -1.1, 0.2}; }

at::Tensor MergeAll(const Merger& merger) {
  const at::Tensor out = at::empty({merger.num_parameters()});
  merger.Merge(Coefficients(), {out.data_ptr<float>(), static_cast<std::size_t>(out.numel())});
  return out;
}

class MergerTest : public ::testing::TestWithParam<StorageType> {};

TEST_P(MergerTest, EqualsTheSumInDoublePrecision) {
  const Shard shard = RandomShard(GetParam());
  at::Tensor expected = shard.base.to(at::kDouble);
  for (std::int64_t row = 0; row + 1 < kCheckpoints; ++row) {
    expected += Coefficients()[static_cast<std::size_t>(row + 1)] * shard.deltas[row].to(at::kDouble);
  }
  const at::Tensor found = MergeAll(Merger(shard)).to(at::kDouble);
  EXPECT_LT((found - expected).abs().max().item<double>(), 2e-6);
}

TEST_P(MergerTest, AnElementDoesNotDependOnTheRange) {
  const Shard whole = RandomShard(GetParam());
  const at::Tensor expected = MergeAll(Merger(whole));
  for (const auto& [begin, end] : {std::pair<std::int64_t, std::int64_t>{0, 1}, {3, 33'333}, {33'333, kParameters}}) {
    Shard part = whole;
    part.range = {begin, end};
    part.base = whole.base.slice(0, begin, end).contiguous();
    part.deltas = whole.deltas.slice(1, begin, end).contiguous();
    EXPECT_TRUE(at::equal(MergeAll(Merger(part)), expected.slice(0, begin, end)));
  }
}

INSTANTIATE_TEST_SUITE_P(EveryStorage, MergerTest,
                         ::testing::Values(StorageType::kFloat32, StorageType::kFloat16, StorageType::kBFloat16),
                         [](const auto& storage) { return StorageTypeName(storage.param); });

TEST(MergerRefusesTest, AnotherNumberOfCoefficients) {
  const Merger merger(RandomShard(StorageType::kFloat32));
  std::vector<float> out(kParameters);
  EXPECT_THROW(merger.Merge(std::vector<double>{0.5, 0.5}, out), InvariantError);
}

class MergeCheckpointsTest : public ::testing::Test {
 protected:
  MergeCheckpointsTest() : folder_(std::filesystem::path(::testing::TempDir()) / "merge_checkpoints_test") {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    at::manual_seed(9);
    for (std::int64_t i = 0; i < 3; ++i) {
      NamedTensors weights = {{"conv.weight", at::randn({5, 4, 3, 3})},
                              {"half", at::randn({17}).to(at::kHalf)},
                              {"bn.running_mean", at::randn({6})},
                              {"bn.num_batches_tracked", at::full({}, 100 * (i + 1), at::kLong)}};
      WriteSafetensors(folder_ / ("c-" + std::to_string(i) + ".safetensors"), weights,
                       {{"config", "{}"}, {"step", std::to_string(i + 1)}});
      checkpoints_.push_back(std::move(weights));
    }
    PackOptions options;
    options.checkpoints = folder_ / "c-*.safetensors";
    options.output = folder_ / "t.traj";
    trajectory_ = Pack(options).trajectory;
  }

  std::filesystem::path folder_;
  std::vector<NamedTensors> checkpoints_;
  Trajectory trajectory_;
};

TEST_F(MergeCheckpointsTest, CombinesWeightsAndCarriesTheLastBuffers) {
  const std::vector<double> a = {2.5, -0.5, -1.0};
  const NamedTensors merged = MergeCheckpoints(trajectory_, a);
  ASSERT_EQ(merged.size(), 4u);
  at::Tensor expected = at::zeros({5, 4, 3, 3}, at::kDouble);
  for (std::size_t i = 0; i < 3; ++i) expected += a[i] * checkpoints_[i]["conv.weight"].to(at::kDouble);
  EXPECT_LT((merged.at("conv.weight").to(at::kDouble) - expected).abs().max().item<double>(), 5e-6);
  EXPECT_EQ(merged.at("conv.weight").sizes(), expected.sizes());
  EXPECT_EQ(merged.at("half").scalar_type(), at::kHalf);
  EXPECT_TRUE(at::equal(merged.at("bn.running_mean"), checkpoints_[2]["bn.running_mean"]));
  EXPECT_EQ(merged.at("bn.num_batches_tracked").item<std::int64_t>(), 300);
}

TEST_F(MergeCheckpointsTest, ASingleCheckpointComesBack) {
  const NamedTensors merged = MergeCheckpoints(trajectory_, std::vector<double>{0, 1, 0});
  EXPECT_LT((merged.at("conv.weight") - checkpoints_[1]["conv.weight"]).abs().max().item<double>(), 1e-6);
}

TEST_F(MergeCheckpointsTest, RefusesAnotherNumberOfCoefficients) {
  EXPECT_THROW(MergeCheckpoints(trajectory_, std::vector<double>{0.5, 0.5}), ConfigError);
}

}  // namespace
}  // namespace lcsc
