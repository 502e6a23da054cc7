#include <gmock/gmock.h>

#include <cmath>
#include <cstdio>

#include "lcsc/base/error.h"
#include "lcsc/merge/lora_weights.h"
#include "lcsc/merge/merged_weights.h"
#include "lcsc/merge/weight_geometry.h"
#include "lcsc/merge/weight_merger.h"
#include "store/lora_checkpoints.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::vector<double> kCoefficients = {1.75, -0.5, 0.0, -0.25};

double RelativeError(const at::Tensor& found, const at::Tensor& expected) {
  return ((found.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
}

// Four checkpoints of three layers with ranks 2, 3, 1 and scales 2, 0.5, 1.
class LoraMergerTest : public ::testing::Test {
 protected:
  static constexpr std::int64_t kCheckpoints = 4;

  Trajectory PackAs(StorageType storage, const LoraDialect& dialect = KohyaDialect(),
                    at::ScalarType factor_type = at::kFloat) {
    for (std::int64_t i = 0; i < kCheckpoints; ++i) {
      factors_.push_back(folder_.Factors(dialect, static_cast<std::uint64_t>(100 + i), factor_type));
      folder_.WriteCheckpoint(i + 1, factors_.back());
    }
    dialect_ = dialect;
    PackOptions options = folder_.Options();
    options.storage = storage;
    Pack(options);
    return ReadTrajectory(options.output);
  }

  // sum_i a_i s B_i A_i by a loop over the checkpoints and, for convolutions, over the kernel's places.
  at::Tensor UpdateOf(const LoraFolder::Layer& layer, std::span<const double> coefficients) const {
    at::Tensor sum = at::zeros(layer.shape, at::kDouble);
    const bool has_alpha = !dialect_.alpha(layer.module).empty();
    const double scale = has_alpha ? layer.alpha / static_cast<double>(layer.rank) : 1.0;
    for (std::size_t i = 0; i < coefficients.size(); ++i) {
      const at::Tensor a = factors_[i].at(dialect_.down(layer.module)).to(at::kDouble);
      const at::Tensor b = factors_[i].at(dialect_.up(layer.module)).to(at::kDouble);
      const double weight = coefficients[i] * scale;
      if (layer.shape.size() == 2) {
        sum += weight * at::matmul(b, a);
        continue;
      }
      for (std::int64_t y = 0; y < layer.shape[2]; ++y) {
        for (std::int64_t x = 0; x < layer.shape[3]; ++x) {
          sum.select(3, x).select(2, y).add_(at::matmul(b.select(3, 0).select(2, 0), a.select(3, x).select(2, y)),
                                             weight);
        }
      }
    }
    return sum;
  }

  LoraFolder folder_;
  LoraDialect dialect_;
  std::vector<NamedTensors> factors_;
};

// What the ranks of a group would have after their AllGather.
at::Tensor MergeInGroup(const Trajectory& trajectory, int group_size, std::span<const double> coefficients) {
  at::Tensor whole;
  for (int rank = 0; rank < group_size; ++rank) {
    const auto merger = MakeWeightMerger(trajectory, {rank, group_size});
    const std::int64_t total = merger->table().num_elements();
    if (!whole.defined()) whole = at::full({total}, NAN);
    const at::Tensor own = at::full({total}, NAN);
    merger->Merge(coefficients, {own.data_ptr<float>(), static_cast<std::size_t>(total)});
    EXPECT_EQ(merger->parts().size(), static_cast<std::size_t>(group_size));
    std::int64_t next = 0;
    for (const ParameterRange& part : merger->parts()) EXPECT_EQ(part.begin, std::exchange(next, part.end));
    EXPECT_EQ(next, total);
    const ParameterRange part = merger->parts()[static_cast<std::size_t>(rank)];
    whole.narrow(0, part.begin, part.size()).copy_(own.narrow(0, part.begin, part.size()));
    EXPECT_EQ(at::isnan(own).sum().item<std::int64_t>(), total - part.size()) << "only the own part is written";
  }
  return whole;
}

struct StorageCase {
  StorageType storage;
  double tolerance;  // half an ulp of the deltas, in A and in B
};

class LoraStorageTest : public LoraMergerTest, public ::testing::WithParamInterface<StorageCase> {};

TEST_P(LoraStorageTest, ProductsAreCombinedAndNotFactors) {
  const Trajectory trajectory = PackAs(GetParam().storage);
  const at::Tensor merged = MergeInGroup(trajectory, 1, kCoefficients);
  const TensorTable table = MakeWeightMerger(trajectory, {})->table();
  ASSERT_EQ(table.entries().size(), 3u);
  double worst = 0;
  for (const LoraFolder::Layer& layer : LoraFolder::Layers()) {
    const auto entry = std::ranges::find(table.entries(), layer.module + ".weight", &TensorEntry::name);
    ASSERT_NE(entry, table.entries().end());
    const at::Tensor found = merged.narrow(0, entry->offset, entry->num_elements()).view(layer.shape).to(at::kDouble);
    const at::Tensor base = folder_.base().at(entry->name).to(at::kDouble);
    worst = std::max(worst, RelativeError(found - base, UpdateOf(layer, kCoefficients)));
  }
  std::printf("largest relative error of an update, %s: %.2g\n", StorageTypeName(GetParam().storage), worst);
  EXPECT_LT(worst, GetParam().tolerance);
}

INSTANTIATE_TEST_SUITE_P(Types, LoraStorageTest,
                         ::testing::Values(StorageCase{StorageType::kFloat32, 1e-6},
                                           StorageCase{StorageType::kFloat16, 2e-3},
                                           StorageCase{StorageType::kBFloat16, 2e-2}),
                         [](const auto& storage) { return StorageTypeName(storage.param.storage); });

TEST_F(LoraMergerTest, AnyNumberOfRanksGivesTheSameWeights) {
  const Trajectory trajectory = PackAs(StorageType::kFloat32);
  const at::Tensor alone = MergeInGroup(trajectory, 1, kCoefficients);
  for (const int group_size : {2, 3, 4, 7}) {
    const at::Tensor shared = MergeInGroup(trajectory, group_size, kCoefficients);
    EXPECT_LT(RelativeError(shared, alone.to(at::kDouble)), 1e-6) << group_size;
  }
}

TEST_F(LoraMergerTest, TheFirstCoefficientIsWhatTheOthersLeave) {
  const Trajectory trajectory = PackAs(StorageType::kFloat32);
  std::vector<double> unread = kCoefficients;
  unread[0] = 99;
  EXPECT_TRUE(at::equal(MergeInGroup(trajectory, 1, unread), MergeInGroup(trajectory, 1, kCoefficients)));
}

TEST_F(LoraMergerTest, FullWeightsAreTheBaseModelWithItsTargetsChanged) {
  const Trajectory trajectory = PackAs(StorageType::kFloat32);
  const NamedTensors merged = MergeCheckpoints(trajectory, kCoefficients);
  ASSERT_EQ(merged.size(), folder_.base().size());
  for (const LoraFolder::Layer& layer : LoraFolder::Layers()) {
    const at::Tensor expected =
        folder_.base().at(layer.module + ".weight").to(at::kDouble) + UpdateOf(layer, kCoefficients);
    EXPECT_LT(RelativeError(merged.at(layer.module + ".weight"), expected), 1e-6) << layer.module;
  }
  EXPECT_TRUE(at::equal(merged.at("mid.mix.bias"), folder_.base().at("mid.mix.bias")));
  EXPECT_EQ(merged.at("mid.steps").item<std::int64_t>(), 77);
  const NamedTensors carried = MakeWeightMerger(trajectory, {})->ReadCarried();
  EXPECT_EQ(carried.size(), 2u);
  EXPECT_TRUE(at::equal(carried.at("mid.mix.bias"), folder_.base().at("mid.mix.bias")));
}

TEST_F(LoraMergerTest, FactorsAndBaseInSixteenBitsAreMergedInFloat32) {
  folder_.CastBase(at::kBFloat16);
  const Trajectory trajectory = PackAs(StorageType::kFloat32, KohyaDialect(), at::kHalf);
  const NamedTensors merged = MergeCheckpoints(trajectory, kCoefficients);
  for (const LoraFolder::Layer& layer : LoraFolder::Layers()) {
    const std::string name = layer.module + ".weight";
    const at::Tensor expected = folder_.base().at(name).to(at::kDouble) + UpdateOf(layer, kCoefficients);
    ASSERT_EQ(merged.at(name).scalar_type(), at::kBFloat16);
    EXPECT_TRUE(at::allclose(merged.at(name).to(at::kDouble), expected, /*rtol=*/0x1p-8, /*atol=*/1e-6)) << name;
  }
}

TEST_F(LoraMergerTest, ExactFactorsAreTheUpdateEvenAboveTheFullRank) {
  const Trajectory trajectory = PackAs(StorageType::kFloat32);
  const LoraWeights lora = CombineLora(trajectory, kCoefficients, std::nullopt);
  ASSERT_EQ(lora.tensors.size(), 9u);
  EXPECT_EQ(lora.rank, 9);
  EXPECT_EQ(lora.overall_error, 0);
  EXPECT_EQ(lora.worst_error, 0);
  EXPECT_EQ(lora.adapter_config, "");
  for (const LoraFolder::Layer& layer : LoraFolder::Layers()) {
    const at::Tensor down = lora.tensors.at(dialect_.down(layer.module)).to(at::kDouble);
    const at::Tensor up = lora.tensors.at(dialect_.up(layer.module)).to(at::kDouble);
    const std::int64_t rank = 3 * layer.rank;  // one of four coefficients is 0
    EXPECT_EQ(lora.tensors.at(dialect_.alpha(layer.module)).item<double>(), static_cast<double>(rank));
    ASSERT_EQ(down.size(0), rank);
    const at::Tensor product = at::matmul(up.reshape({layer.shape[0], rank}), down.reshape({rank, -1}));
    EXPECT_LT(RelativeError(product.view(layer.shape), UpdateOf(layer, kCoefficients)), 1e-6) << layer.module;
  }
}

TEST_F(LoraMergerTest, TheStatedErrorIsTheTrueOneAndTheSmallestPossible) {
  const Trajectory trajectory = PackAs(StorageType::kFloat32);
  for (const std::int64_t max_rank : {1, 2, 4}) {
    const LoraWeights lora = CombineLora(trajectory, kCoefficients, max_rank);
    EXPECT_EQ(lora.rank, max_rank);
    double worst = 0, squared_error = 0, squared_norm = 0;
    for (const LoraFolder::Layer& layer : LoraFolder::Layers()) {
      const at::Tensor exact = UpdateOf(layer, kCoefficients).reshape({layer.shape[0], -1});
      const at::Tensor down = lora.tensors.at(dialect_.down(layer.module)).to(at::kDouble);
      const at::Tensor up = lora.tensors.at(dialect_.up(layer.module)).to(at::kDouble);
      const at::Tensor cut = at::matmul(up.reshape({layer.shape[0], -1}), down.reshape({down.size(0), -1}));
      const double error = RelativeError(cut, exact);
      const at::Tensor values = at::linalg_svdvals(exact);
      const std::int64_t kept = std::min(max_rank, values.size(0));
      const double least = (values.slice(0, kept).norm() / values.norm()).item<double>();
      EXPECT_NEAR(error, least, 1e-6) << layer.module << " cut to " << max_rank;
      EXPECT_EQ(lora.tensors.at(dialect_.alpha(layer.module)).item<double>(), static_cast<double>(down.size(0)));
      worst = std::max(worst, error);
      squared_error += (cut - exact).square().sum().item<double>();
      squared_norm += exact.square().sum().item<double>();
    }
    std::printf("rank %d: stated errors %.6f worst, %.6f overall; true ones %.6f, %.6f\n", static_cast<int>(max_rank),
                lora.worst_error, lora.overall_error, worst, std::sqrt(squared_error / squared_norm));
    EXPECT_NEAR(lora.worst_error, worst, 1e-6);
    EXPECT_NEAR(lora.overall_error, std::sqrt(squared_error / squared_norm), 1e-6);
  }
}

TEST_F(LoraMergerTest, AnUpdateOfZeroHasNoError) {
  const LoraDialect dialect = KohyaDialect();
  NamedTensors factors = folder_.Factors(dialect, 3);
  for (const LoraFolder::Layer& layer : LoraFolder::Layers()) factors.at(dialect.up(layer.module)).zero_();
  for (const std::int64_t step : {1, 2}) folder_.WriteCheckpoint(step, factors);
  const LoraWeights lora =
      CombineLora(Pack(folder_.Options()).trajectory, std::vector<double>{0.5, 0.5}, std::int64_t{1});
  EXPECT_EQ(lora.overall_error, 0);
  for (const auto& [name, tensor] : lora.tensors) EXPECT_TRUE(at::isfinite(tensor).all().item<bool>()) << name;
}

TEST_F(LoraMergerTest, PeftFactorsBringTheConfigThatSaysScaleOne) {
  const LoraDialect peft = DottedDialect("peft", "base_model.model.", ".lora_A.weight", ".lora_B.weight");
  for (const std::int64_t step : {1, 2}) folder_.WriteCheckpoint(step, folder_.Factors(peft, 3));
  WriteBytes(
      folder_ / "lora" / "adapter_config.json",
      R"({"r": 2, "lora_alpha": 3, "rank_pattern": {"conv_in": 3, "mix": 1}, "use_rslora": true, "bias": "none"})");
  const Trajectory trajectory = Pack(folder_.Options()).trajectory;
  const LoraWeights lora = CombineLora(trajectory, std::vector<double>{0.5, 0.5}, std::nullopt);
  const nlohmann::json config = nlohmann::json::parse(lora.adapter_config);
  EXPECT_EQ(config["r"], 6);
  EXPECT_EQ(config["lora_alpha"], 6);
  EXPECT_EQ(config["use_rslora"], false);
  EXPECT_EQ(config["bias"], "none");
  const nlohmann::json pattern = {{"down_blocks.0.conv_in", 6}, {"down_blocks.0.res_net.fc", 4}, {"mid.mix", 2}};
  EXPECT_EQ(config["rank_pattern"], pattern);
  EXPECT_EQ(config["alpha_pattern"], pattern);
  EXPECT_EQ(lora.tensors.size(), 6u);
}

TEST_F(LoraMergerTest, WhatDoesNotFitIsRefused) {
  const Trajectory trajectory = PackAs(StorageType::kFloat32);
  EXPECT_THROW(CombineLora(trajectory, std::vector<double>{0.5, 0.5}, std::nullopt), ConfigError);
  EXPECT_THROW(MergeCheckpoints(trajectory, std::vector<double>{0.5, 0.5}), ConfigError);
  Trajectory full = trajectory;
  full.lora.reset();
  EXPECT_THAT(MessageOf<ConfigError>([&] { CombineLora(full, kCoefficients, std::nullopt); }),
              AllOf(HasSubstr("x.traj"), HasSubstr("full weights")));
}

TEST_F(LoraMergerTest, AFullTrajectoryIsMergedThroughTheSameInterface) {
  NamedTensors moved = folder_.base();
  folder_.WriteBase("full-1.safetensors", folder_.base());
  moved["mid.mix.weight"] = moved["mid.mix.weight"] + 1;
  folder_.WriteBase("full-2.safetensors", moved);
  PackOptions options;
  options.checkpoints = folder_ / "full-*.safetensors";
  options.output = folder_ / "full.traj";
  const Trajectory trajectory = Pack(options).trajectory;
  const std::vector<double> a = {0.25, 0.75};
  const at::Tensor alone = MergeInGroup(trajectory, 1, a);
  for (const int group_size : {2, 4}) EXPECT_TRUE(at::equal(MergeInGroup(trajectory, group_size, a), alone));
  const auto merger = MakeWeightMerger(trajectory, {});
  EXPECT_EQ(merger->ReadCarried().at("mid.steps").item<std::int64_t>(), 77);
  const TensorEntry mix = merger->table().entries().back();
  ASSERT_EQ(mix.name, "mid.mix.weight");
  EXPECT_TRUE(at::allclose(alone.narrow(0, mix.offset, mix.num_elements()).view(mix.shape),
                           folder_.base().at(mix.name) + 0.75));
}

// A merge is linear: a step of one coefficient moves <g, W> by the step times what Project says.
TEST_F(LoraMergerTest, ProjectsAsItMerges) {
  const Trajectory trajectory = PackAs(StorageType::kFloat32);
  const std::int64_t total = MakeWeightMerger(trajectory, {})->table().num_elements();
  const auto num_checkpoints = static_cast<std::size_t>(trajectory.num_checkpoints());
  at::manual_seed(8);
  const at::Tensor gradient = at::randn({total}, at::kDouble);
  const auto product_at = [&](std::size_t checkpoint) {
    std::vector<double> coefficients(num_checkpoints);
    coefficients[checkpoint] = 1;
    return MergeInGroup(trajectory, 1, coefficients).to(at::kDouble).dot(gradient).item<double>();
  };
  std::vector<double> found(num_checkpoints);
  for (const int rank : {0, 1}) {
    const auto part = MakeWeightMerger(trajectory, {rank, 2})
                          ->Project({gradient.data_ptr<double>(), static_cast<std::size_t>(total)});
    for (std::size_t i = 0; i < num_checkpoints; ++i) found[i] += part[i];
  }
  EXPECT_EQ(found[0], 0);
  const double first = product_at(0);
  for (std::size_t i = 1; i < num_checkpoints; ++i) EXPECT_NEAR(found[i], product_at(i) - first, 1e-3) << i;
}

// The distance between two merged networks is that between their updates.
TEST_F(LoraMergerTest, DistancesAreThoseOfTheNetworks) {
  const Trajectory trajectory = PackAs(StorageType::kFloat32);
  const std::vector<double> first = {1, 0, 0, 0};
  double expected = 0;
  for (const LoraFolder::Layer& layer : LoraFolder::Layers()) {
    expected += (UpdateOf(layer, kCoefficients) - UpdateOf(layer, first)).square().sum().item<double>();
  }
  const double found = DifferenceProducts(trajectory, first, {kCoefficients})[0][0].item<double>();
  EXPECT_NEAR(found, expected, 1e-4 * expected);
}

}  // namespace
}  // namespace lcsc
