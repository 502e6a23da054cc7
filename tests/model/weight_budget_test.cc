#include "lcsc/model/weight_budget.h"

#include <gmock/gmock.h>

#include "lcsc/base/error.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/model/registry.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

Json SmallJson() {
  return {{"model_type", "SongUNet"},
          {"precond", "EDMPrecond"},
          {"img_resolution", 8},
          {"img_channels", 1},
          {"model_channels", 8},
          {"channel_mult", {1, 2}},
          {"num_blocks", 1},
          {"embedding_type", "fourier"},
          {"encoder_type", "residual"},
          {"label_dim", 3},
          {"resample_filter", {1, 3, 3, 1}}};
}

struct Size {
  std::int64_t elements = 0, tensors = 0;
};

Size SizeOf(torch::nn::Module& network) {
  Size size;
  for (const auto& [name, tensor] : StateDict(network)) {
    size.elements += tensor.numel();
    ++size.tensors;
  }
  return size;
}

std::string RefusalUnder(const WeightLimits& limits, const Json& json) {
  const WeightBudget budget(limits);
  return MessageOf<ConfigError>([&] { MakeDenoiser(json); });
}

TEST(WeightBudget, ANetworkFitsExactlyItsOwnSize) {
  const Size size = SizeOf(*MakeDenoiser(SmallJson()));
  EXPECT_EQ(RefusalUnder({.elements = size.elements, .tensors = size.tensors}, SmallJson()), "");
  EXPECT_THAT(RefusalUnder({.elements = size.elements - 1, .tensors = size.tensors}, SmallJson()),
              HasSubstr("too large"));
  EXPECT_THAT(RefusalUnder({.elements = size.elements, .tensors = size.tensors - 1}, SmallJson()),
              HasSubstr("too large"));
}

TEST(WeightBudget, TheTightestOfNestedBudgetsCountsAndEndsWithItsScope) {
  const WeightBudget outer({.elements = 100});
  {
    const WeightBudget inner({.elements = 1000});
    SpendWeights({6, 10});
    EXPECT_THROW(SpendWeights({41}), ConfigError);
  }
  SpendWeights({40});
  EXPECT_THROW(SpendWeights({1}), ConfigError);
}

TEST(WeightBudget, ProductsBeyond64BitsAreRefused) {
  const WeightBudget budget({.elements = std::numeric_limits<std::int64_t>::max()});
  EXPECT_THROW(SpendWeights({std::int64_t{1} << 40, std::int64_t{1} << 40}), ConfigError);
}

// Each of the largest counts that the JSON reader lets pass, in each code base's network.
TEST(WeightBudget, AbsurdSizesAreRefusedBeforeMemoryIsAskedFor) {
  constexpr std::int64_t kMost = 1 << 20;
  const Json adm = {{"model_type", "adm"},           {"image_size", 64},
                    {"model_channels", 32},          {"num_res_blocks", 1},
                    {"attention_resolutions", "32"}, {"channel_mult", {1, 2}}};
  const Json ddpm = {{"model_type", "ddpm"}, {"image_size", 8}, {"ch", 32}, {"ch_mult", {1}}, {"num_res_blocks", 1}};
  const Json dhariwal = {{"model_type", "DhariwalUNet"}, {"precond", "EDMPrecond"},
                         {"img_resolution", 8},          {"img_channels", 1},
                         {"model_channels", 32},         {"channel_mult", {1}}};
  const std::pair<Json, Json> cases[] = {{SmallJson(), {{"model_channels", kMost}}},
                                         {SmallJson(), {{"num_blocks", kMost}}},
                                         {SmallJson(), {{"channel_mult", {1, kMost}}, {"model_channels", 4096}}},
                                         {SmallJson(), {{"label_dim", kMost}, {"model_channels", kMost}}},
                                         {dhariwal, {{"model_channels", kMost}}},
                                         {dhariwal, {{"num_blocks", kMost}}},
                                         {adm, {{"model_channels", kMost}}},
                                         {adm, {{"num_res_blocks", kMost}}},
                                         {ddpm, {{"ch", kMost}}},
                                         {ddpm, {{"num_res_blocks", kMost}}}};
  for (auto [json, change] : cases) {
    json.update(change);
    SCOPED_TRACE(json.dump());
    EXPECT_THAT(MessageOf<ConfigError>([&] { MakeDenoiser(json); }), HasSubstr("too large"));
  }
}

TEST(WeightBudget, AFileOfAFewWeightsMayNotDescribeANetworkOfBillions) {
  const TempFolder folder;
  Json json = SmallJson();
  json["model_channels"] = 2048;
  WriteSafetensors(folder / "small.safetensors", {{"model.a", at::zeros({3})}}, {{"config", json.dump()}});
  EXPECT_THAT(MessageOf<ConfigError>([&] { LoadDenoiser(folder / "small.safetensors"); }), HasSubstr("too large"));
}

TEST(WeightBudget, WithoutMemoryTheShapesAreTheSame) {
  const auto real = MakeDenoiser(SmallJson());
  const WeightBudget budget({.elements = ElementsInMemory(), .memory = WeightMemory::kNone});
  const auto shapes = MakeDenoiser(SmallJson());
  const NamedTensors expected = StateDict(*real), found = StateDict(*shapes);
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) EXPECT_EQ(found.at(name).sizes(), tensor.sizes()) << name;
  for (const at::Tensor& weight : shapes->parameters()) EXPECT_TRUE(weight.is_meta());
}

}  // namespace
}  // namespace lcsc
