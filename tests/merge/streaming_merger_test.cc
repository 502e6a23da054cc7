#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <thread>

#include "lcsc/base/error.h"
#include "lcsc/merge/weight_merger.h"
#include "store/lora_checkpoints.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::int64_t kCheckpoints = 7;
constexpr std::int64_t kParameters = 50'003;

// Seven checkpoints in shard files of 20,001 parameters and of at most three checkpoints.
class StreamingMergerTest : public ::testing::Test {
 protected:
  Trajectory PackAs(StorageType storage) const {
    at::manual_seed(5);
    for (std::int64_t i = 1; i <= kCheckpoints; ++i) {
      WriteSafetensors(folder_ / ("c-" + std::to_string(i) + ".safetensors"),
                       {{"a.weight", at::randn({50'000})}, {"b.bias", at::randn({3})}},
                       {{"config", "{}"}, {"step", std::to_string(i)}});
    }
    PackOptions options;
    options.checkpoints = folder_ / "c-*.safetensors";
    options.output = folder_ / "t.traj";
    options.storage = storage;
    options.shard_elements = 20'001;
    options.segment_checkpoints = 3;
    return Pack(options).trajectory;
  }

  TempFolder folder_;
};

// [candidates, p] by one rank of a group; NaN outside its part.
at::Tensor MergeBatch(const WeightMerger& merger, const at::Tensor& coefficients) {
  const at::Tensor merged = at::full({coefficients.size(0), merger.table().num_elements()}, NAN);
  std::vector<std::span<const double>> factors;
  std::vector<std::span<float>> wholes;
  for (std::int64_t c = 0; c < coefficients.size(0); ++c) {
    factors.emplace_back(coefficients[c].data_ptr<double>(), static_cast<std::size_t>(coefficients.size(1)));
    wholes.emplace_back(merged[c].data_ptr<float>(), static_cast<std::size_t>(merged.size(1)));
  }
  merger.MergeBatch(factors, wholes);
  return merged;
}

bool SameBits(const at::Tensor& a, const at::Tensor& b) {
  const auto size = static_cast<std::size_t>(a.numel());
  return a.sizes() == b.sizes() && std::memcmp(a.data_ptr<float>(), b.data_ptr<float>(), size * sizeof(float)) == 0;
}

class StreamingStorageTest : public StreamingMergerTest, public ::testing::WithParamInterface<StorageType> {};

TEST_P(StreamingStorageTest, HasTheBitsOfTheResidentOne) {
  const Trajectory trajectory = PackAs(GetParam());
  const std::int64_t per_parameter = 4 + 6 * (GetParam() == StorageType::kFloat32 ? 4 : 2);
  for (const GroupPlace place : {GroupPlace{0, 1}, GroupPlace{1, 3}}) {
    const std::int64_t own = (kParameters + place.group_size - 1) / place.group_size;
    const auto resident = MakeWeightMerger(trajectory, place);
    // The smallest budget there is, one for blocks of odd length, and one byte less than everything.
    for (const std::int64_t budget :
         {2 * 4096 * per_parameter * 16 / 15 + 1, 2 * 7000 * per_parameter, own * per_parameter - 1}) {
      const MergeMemory memory = MergeMemoryOf(trajectory, place, {budget});
      EXPECT_TRUE(memory.is_streamed);
      EXPECT_LE(memory.held_bytes, budget);
      EXPECT_GE(memory.held_bytes, budget * 3 / 4);
      EXPECT_EQ(memory.streamed_bytes, own * per_parameter);
      const auto streaming = MakeWeightMerger(trajectory, place, {budget});
      for (const std::int64_t num_candidates : {1, 3, 17}) {
        const at::Tensor coefficients = at::randn({num_candidates, kCheckpoints}, at::kDouble);
        EXPECT_TRUE(SameBits(MergeBatch(*streaming, coefficients), MergeBatch(*resident, coefficients)))
            << num_candidates << " candidates, budget " << budget << ", group of " << place.group_size;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryStorage, StreamingStorageTest,
                         ::testing::Values(StorageType::kFloat32, StorageType::kFloat16, StorageType::kBFloat16),
                         [](const auto& storage) { return StorageTypeName(storage.param); });

TEST_F(StreamingMergerTest, WhatFitsStaysInMemory) {
  const Trajectory trajectory = PackAs(StorageType::kBFloat16);
  constexpr std::int64_t kBytes = kParameters * (4 + 6 * 2);
  for (const MergeOptions& options : {MergeOptions{}, MergeOptions{kBytes}}) {
    const MergeMemory memory = MergeMemoryOf(trajectory, {}, options);
    EXPECT_FALSE(memory.is_streamed);
    EXPECT_EQ(memory.held_bytes, kBytes);
    EXPECT_EQ(memory.streamed_bytes, 0);
  }
  const auto merger = MakeWeightMerger(trajectory, {}, {kBytes});
  std::filesystem::remove_all(trajectory.folder);
  EXPECT_TRUE(at::isfinite(MergeBatch(*merger, at::ones({1, kCheckpoints}, at::kDouble))).all().item<bool>());
}

TEST_F(StreamingMergerTest, TooSmallABudgetIsRefusedInWords) {
  const Trajectory trajectory = PackAs(StorageType::kFloat32);
  constexpr std::int64_t kNeeded = (2 * 4096 * 28 * 16 + 14) / 15;
  EXPECT_NO_THROW(MergeMemoryOf(trajectory, {}, {kNeeded}));
  for (const std::int64_t budget : {std::int64_t{0}, std::int64_t{1}, kNeeded - 64 * 28 * 2}) {
    const std::string message = MessageOf<ConfigError>([&] { MakeWeightMerger(trajectory, {}, {budget}); });
    EXPECT_THAT(message, AllOf(HasSubstr("7 checkpoints in f32"), HasSubstr(std::to_string(kNeeded)),
                               HasSubstr("found " + std::to_string(budget))));
  }
}

TEST_F(StreamingMergerTest, AFileThatIsLostOrDamagedIsNamedAndMayComeBack) {
  const Trajectory trajectory = PackAs(StorageType::kFloat32);
  const auto merger = MakeWeightMerger(trajectory, {}, {1'000'000});
  const at::Tensor coefficients = at::ones({2, kCheckpoints}, at::kDouble);
  const std::filesystem::path lost = trajectory.folder / trajectory.shards.back().name;
  std::filesystem::rename(lost, folder_ / "elsewhere");
  EXPECT_THAT(MessageOf<InputError>([&] { MergeBatch(*merger, coefficients); }), HasSubstr(lost.string()));
  std::filesystem::rename(folder_ / "elsewhere", lost);
  EXPECT_TRUE(SameBits(MergeBatch(*merger, coefficients), MergeBatch(*MakeWeightMerger(trajectory, {}), coefficients)));
}

TEST(LoraMemoryTest, IsRefusedWithTheGroupSizeThatFits) {
  const LoraFolder folder;
  for (const std::int64_t step : {1, 2, 3}) {
    folder.WriteCheckpoint(step, folder.Factors(KohyaDialect(), static_cast<std::uint64_t>(step)));
  }
  const Trajectory trajectory = Pack(folder.Options()).trajectory;
  // Factors of ranks 2, 3, 1: base and two deltas; the weights that they change; scratch of the largest layer.
  constexpr std::int64_t kFactors[] = {2 * (7 + 5), 3 * (6 + 36), 1 * (3 + 4)};
  constexpr std::int64_t kHeld = (kFactors[0] + kFactors[1] + kFactors[2]) * 12 + 4 * (35 + 216 + 12);
  constexpr std::int64_t kScratch = 3 * 4 * 3 * kFactors[1];
  const MergeMemory memory = MergeMemoryOf(trajectory, {}, {kHeld + kScratch});
  EXPECT_FALSE(memory.is_streamed);
  EXPECT_EQ(memory.held_bytes, kHeld);
  EXPECT_EQ(memory.scratch_bytes, kScratch);
  const std::string message = MessageOf<ConfigError>([&] { MakeWeightMerger(trajectory, {}, {kHeld + kScratch - 1}); });
  EXPECT_THAT(message, AllOf(HasSubstr("groups of 1"), HasSubstr(std::to_string(kHeld + kScratch)),
                             HasSubstr("group size of 2")));
  EXPECT_NO_THROW(MakeWeightMerger(trajectory, {0, 2}, {kHeld + kScratch - 1}));
  EXPECT_THAT(MessageOf<ConfigError>([&] { MakeWeightMerger(trajectory, {}, {100}); }),
              HasSubstr("a layer is not divided"));
}

// A gradient is projected while the next candidates are merged.
TEST_F(StreamingMergerTest, MergesAndProjectsAtOnce) {
  const Trajectory trajectory = PackAs(StorageType::kFloat32);
  const auto merger = MakeWeightMerger(trajectory, {}, {1'000'000});
  at::manual_seed(8);
  const at::Tensor gradient = at::randn({kParameters}, at::kDouble);
  const std::span<const double> flat(gradient.data_ptr<double>(), static_cast<std::size_t>(kParameters));
  const at::Tensor coefficients = at::randn({2, kCheckpoints}, at::kDouble);
  const at::Tensor merged = MergeBatch(*merger, coefficients);
  const std::vector<double> projected = merger->Project(flat);
  std::thread other([&] {
    for (int i = 0; i < 20; ++i) EXPECT_EQ(merger->Project(flat), projected);
  });
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(SameBits(MergeBatch(*merger, coefficients), merged));
  other.join();
}

// A merge is linear: a step of one coefficient moves <g, theta> by the step times what Project says.
TEST_P(StreamingStorageTest, ProjectsAsItMerges) {
  const Trajectory trajectory = PackAs(GetParam());
  at::manual_seed(8);
  const at::Tensor gradient = at::randn({kParameters}, at::kDouble);
  const at::Tensor coefficients =
      at::cat({at::zeros({1, kCheckpoints}, at::kDouble), at::eye(kCheckpoints, at::kDouble)});
  at::Tensor found = at::zeros({kCheckpoints}, at::kDouble), streamed = at::zeros({kCheckpoints}, at::kDouble);
  at::Tensor expected = at::zeros({kCheckpoints}, at::kDouble);
  for (const int rank : {0, 1}) {
    const auto merger = MakeWeightMerger(trajectory, {rank, 2});
    const ParameterRange part = merger->parts()[static_cast<std::size_t>(rank)];
    const auto own = [&](const at::Tensor& whole) { return whole.narrow(-1, part.begin, part.size()); };
    const at::Tensor products = own(MergeBatch(*merger, coefficients)).to(at::kDouble).mv(own(gradient));
    expected += products.narrow(0, 1, kCheckpoints) - products[0];
    const std::span<const double> flat(gradient.data_ptr<double>(), static_cast<std::size_t>(kParameters));
    found += at::tensor(merger->Project(flat));
    streamed += at::tensor(MakeWeightMerger(trajectory, {rank, 2}, {600'000})->Project(flat));
  }
  expected[0] = 0;  // implied by the others
  EXPECT_TRUE(at::allclose(found, expected, 1e-5, 1e-4)) << found << expected;
  EXPECT_TRUE(at::allclose(streamed, found, 1e-12));
}

}  // namespace
}  // namespace lcsc
