#include "lcsc/store/lora.h"

#include <gmock/gmock.h>

#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lcsc/io/torch_archive.h"
#include "lcsc/store/hdf5.h"
#include "lcsc/store/inspector.h"
#include "lcsc/store/shard_reader.h"
#include "store/lora_checkpoints.h"
#include "support/run_program.h"

namespace lcsc {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string RefusalOf(const PackOptions& options) {
  return MessageOf<InputError>([&] { Pack(options); });
}

LoraDialect Peft() { return DottedDialect("peft", "base_model.model.", ".lora_A.weight", ".lora_B.weight"); }
LoraDialect Diffusers() { return DottedDialect("diffusers", "unet.", ".lora.down.weight", ".lora.up.weight"); }

std::vector<LoraDialect> Dialects() {
  LoraDialect dotted_alpha = DottedDialect("dotted_alpha", "unet.", ".lora_down.weight", ".lora_up.weight");
  dotted_alpha.alpha = [](const std::string& module) { return "unet." + module + ".alpha"; };
  LoraDialect text = KohyaDialect();
  text.title = "kohya_text";
  for (auto* name : {&text.down, &text.up, &text.alpha}) {
    *name = [old = *name](const std::string& module) { return "lora_te_" + old(module).substr(10); };
  }
  return {
      Peft(),
      DottedDialect("peft_default", "base_model.model.", ".lora_A.default.weight", ".lora_B.default.weight"),
      Diffusers(),
      DottedDialect("diffusers_peft", "unet.", ".lora_A.weight", ".lora_B.weight"),
      DottedDialect("no_component", "", ".lora.down.weight", ".lora.up.weight"),
      DottedDialect("text_encoder", "text_encoder.", ".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"),
      KohyaDialect(),
      text,
      dotted_alpha};
}

class LoraDialectTest : public ::testing::TestWithParam<LoraDialect> {};

TEST_P(LoraDialectTest, EveryPairFindsItsTensor) {
  const LoraFolder folder;
  folder.WriteCheckpoints(GetParam(), 2);
  PackOptions options = folder.Options();
  const bool has_alpha = !GetParam().alpha("x").empty();
  if (!has_alpha) options.lora_alpha = 3.0;
  Pack(options);
  const Trajectory trajectory = ReadTrajectory(options.output);
  ASSERT_TRUE(trajectory.lora.has_value());
  ASSERT_EQ(trajectory.lora->layers.size(), 3u);
  for (const LoraFolder::Layer& expected : LoraFolder::Layers()) {
    const auto layer = std::ranges::find(trajectory.lora->layers, expected.module + ".weight",
                                         [](const LoraLayer& found) { return found.target.name; });
    ASSERT_NE(layer, trajectory.lora->layers.end()) << expected.module;
    EXPECT_EQ(layer->down, GetParam().down(expected.module));
    EXPECT_EQ(layer->up, GetParam().up(expected.module));
    EXPECT_EQ(layer->alpha, GetParam().alpha(expected.module));
    EXPECT_EQ(layer->target.shape, expected.shape);
    EXPECT_EQ(layer->rank, expected.rank);
    EXPECT_DOUBLE_EQ(layer->scale, (has_alpha ? expected.alpha : 3.0) / static_cast<double>(expected.rank));
  }
}

INSTANTIATE_TEST_SUITE_P(Names, LoraDialectTest, ::testing::ValuesIn(Dialects()),
                         [](const auto& dialect) { return dialect.param.title; });

TEST(LoraTest, FactorsComeBackAsTheyAre) {
  const LoraFolder folder;
  folder.WriteCheckpoints(KohyaDialect(), 3);
  Pack(folder.Options());
  const Trajectory trajectory = ReadTrajectory(folder / "x.traj");
  EXPECT_EQ(trajectory.table.entries().size(), 6u);
  EXPECT_EQ(trajectory.carried.size(), 3u) << "the alphas";
  const NamedTensors last = folder.Factors(KohyaDialect(), 102);
  const at::Tensor theta = ReadCheckpoint(trajectory, 2);
  for (const TensorEntry& entry : trajectory.table.entries()) {
    const at::Tensor found = theta.narrow(0, entry.offset, entry.num_elements()).view(entry.shape);
    EXPECT_TRUE(at::allclose(found, last.at(entry.name), 0, 1e-6)) << entry.name;
  }
  EXPECT_EQ(nlohmann::json::parse(trajectory.network_json)["model_type"], "toy") << "the base model's";
}

TEST(LoraTest, AttentionProcessorsNamesMeanTheirProjections) {
  const TempFolder folder;
  const NamedTensors base = {{"unet.attn1.to_q.weight", at::randn({4, 4})},
                             {"unet.attn1.to_out.0.weight", at::randn({4, 4})},
                             {"text_encoder.layers.0.q_proj.weight", at::randn({4, 4})}};
  WriteSafetensors(folder / "base.safetensors", base, {{"config", "{}"}});
  for (const char* step : {"1", "2"}) {
    NamedTensors factors;
    for (const char* module : {"unet.attn1.processor.to_q", "unet.attn1.to_out", "text_encoder.layers.0.to_q"}) {
      factors[std::string(module) + "_lora.down.weight"] = at::randn({2, 4});
      factors[std::string(module) + "_lora.up.weight"] = at::randn({4, 2});
    }
    WriteSafetensors(folder / (std::string("l") + step + ".safetensors"), factors);
  }
  PackOptions options;
  options.checkpoints = folder / "l*.safetensors";
  options.output = folder / "x.traj";
  options.base_model = folder / "base.safetensors";
  const std::vector<LoraLayer> layers = Pack(options).trajectory.lora->layers;
  ASSERT_EQ(layers.size(), 3u);
  EXPECT_EQ(layers[0].down, "text_encoder.layers.0.to_q_lora.down.weight");
  EXPECT_EQ(layers[1].down, "unet.attn1.to_out_lora.down.weight");
  EXPECT_EQ(layers[2].down, "unet.attn1.processor.to_q_lora.down.weight");
  EXPECT_EQ(layers[2].scale, 1);
}

TEST(LoraTest, APrefixThatOnlyTheBaseModelHasIsFound) {
  const LoraFolder folder;
  NamedTensors wrapped;
  for (const auto& [name, tensor] : folder.base()) wrapped["model." + name] = tensor;
  folder.WriteBase("base.safetensors", wrapped);
  folder.WriteCheckpoints(KohyaDialect(), 2);
  EXPECT_EQ(Pack(folder.Options()).trajectory.lora->layers[2].target.name, "model.mid.mix.weight");
}

// Two sound checkpoints, of which a test spoils the second.
class LoraRefusalTest : public ::testing::Test {
 protected:
  LoraRefusalTest() : factors_(folder_.Factors(KohyaDialect(), 5)) { folder_.WriteCheckpoint(1, factors_); }
  std::string Refusal() {
    folder_.WriteCheckpoint(2, factors_);
    EXPECT_FALSE(fs::exists(folder_ / "x.traj"));
    return RefusalOf(folder_.Options());
  }
  at::Tensor Take(const std::string& name) {
    const at::Tensor tensor = factors_.at(name);
    factors_.erase(name);
    return tensor;
  }

  LoraFolder folder_;
  NamedTensors factors_;
};

constexpr const char* kMix = "lora_unet_mid_mix";

TEST_F(LoraRefusalTest, AnotherRank) {
  factors_[std::string(kMix) + ".lora_down.weight"] = at::randn({2, 4, 1, 1});
  factors_[std::string(kMix) + ".lora_up.weight"] = at::randn({3, 2, 1, 1});
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("step-2"), HasSubstr("mid.mix.weight"), HasSubstr("rank 1"), HasSubstr("2")));
}

TEST_F(LoraRefusalTest, AMissingAndASuperfluousLayer) {
  for (const char* end : {".lora_down.weight", ".lora_up.weight", ".alpha"}) Take(kMix + std::string(end));
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("step-2"), HasSubstr("mid.mix.weight"), HasSubstr("found none")));
  folder_.WriteCheckpoint(1, factors_);
  factors_ = folder_.Factors(KohyaDialect(), 5);
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("step-2"), HasSubstr("mid.mix.weight"), HasSubstr("lacks")));
}

TEST_F(LoraRefusalTest, AnotherAlpha) {
  factors_[std::string(kMix) + ".alpha"] = at::full({}, 2.0);
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("step-2"), HasSubstr("mid.mix.weight"), HasSubstr("alpha / r = 1")));
}

TEST_F(LoraRefusalTest, AnUnsoundAlpha) {
  factors_[std::string(kMix) + ".alpha"] = at::zeros({2});
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("mix.alpha"), HasSubstr("one number")));
  factors_[std::string(kMix) + ".alpha"] = at::full({}, NAN);
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("mix.alpha"), HasSubstr("above 0")));
}

TEST_F(LoraRefusalTest, AModuleThatTheBaseModelLacks) {
  for (const char* end : {".lora_down.weight", ".lora_up.weight", ".alpha"}) {
    factors_["lora_unet_mid_mox" + std::string(end)] = Take(kMix + std::string(end));
  }
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("step-2"), HasSubstr("lora_unet_mid_mox.lora_down.weight"),
                               HasSubstr("base.safetensors")));
}

TEST_F(LoraRefusalTest, AModuleThatMayMeanTwoTensors) {
  NamedTensors base = folder_.base();
  base["mid_mix.weight"] = at::randn({3, 4, 1, 1});
  folder_.WriteBase("base.safetensors", base);
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("ambiguous"), HasSubstr("\"mid_mix.weight\""), HasSubstr("\"mid.mix.weight\""),
                               HasSubstr(kMix)));
}

TEST_F(LoraRefusalTest, APrefixThatMayBeTwo) {
  NamedTensors base;
  for (const auto& [name, tensor] : folder_.base()) {
    base["one." + name] = tensor;
    base["two." + name] = tensor;
  }
  folder_.WriteBase("base.safetensors", base);
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("ambiguous"), HasSubstr("\"one."), HasSubstr("\"two.")));
}

TEST_F(LoraRefusalTest, HalfAPairAndAnAlphaWithoutAPair) {
  const at::Tensor up = Take(kMix + std::string(".lora_up.weight"));
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("mix.lora_down.weight"), HasSubstr("no other half")));
  Take(kMix + std::string(".lora_down.weight"));
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("mix.alpha"), HasSubstr("no such pair")));
}

TEST_F(LoraRefusalTest, TwoPairsForOneTensor) {
  factors_["unet.mid.mix.lora.down.weight"] = at::randn({1, 4, 1, 1});
  factors_["unet.mid.mix.lora.up.weight"] = at::randn({3, 1, 1, 1});
  EXPECT_THAT(Refusal(), AllOf(HasSubstr(kMix), HasSubstr("unet.mid.mix"), HasSubstr("both")));
}

TEST_F(LoraRefusalTest, ShapesThatDoNotFit) {
  factors_[std::string(kMix) + ".lora_down.weight"] = at::randn({1, 5, 1, 1});
  EXPECT_THAT(Refusal(), AllOf(HasSubstr(kMix), HasSubstr("[1, 5, 1, 1]"), HasSubstr("[3, 4, 1, 1]")));
  factors_[std::string(kMix) + ".lora_down.weight"] = at::randn({1, 4});
  EXPECT_THAT(Refusal(), HasSubstr("do not fit"));
  factors_[std::string(kMix) + ".lora_down.weight"] = at::empty({0, 4, 1, 1});
  factors_[std::string(kMix) + ".lora_up.weight"] = at::empty({3, 0, 1, 1});
  EXPECT_THAT(Refusal(), HasSubstr("do not fit"));
}

TEST_F(LoraRefusalTest, TensorsThatAreNoFactors) {
  factors_[std::string(kMix) + ".dora_scale"] = at::ones({3});
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("mix.dora_scale"), HasSubstr("only LoRA factors")));
}

TEST_F(LoraRefusalTest, FactorsThatAreNotFinite) {
  factors_[std::string(kMix) + ".lora_down.weight"].fill_(INFINITY);
  folder_.WriteCheckpoint(2, factors_);
  EXPECT_THAT(RefusalOf(folder_.Options()), AllOf(HasSubstr("mix.lora_down.weight"), HasSubstr("inf")));
}

TEST_F(LoraRefusalTest, OptionsThatDoNotFit) {
  folder_.WriteCheckpoint(2, factors_);
  PackOptions options = folder_.Options();
  options.lora_alpha = 2;
  EXPECT_THAT(RefusalOf(options), HasSubstr("its own alpha"));
  options.lora_alpha.reset();
  options.base_model.reset();
  EXPECT_THAT(RefusalOf(options), AllOf(HasSubstr("LoRA factors"), HasSubstr("--base-model")));
}

TEST_F(LoraRefusalTest, ABaseModelBesideFullWeights) {
  for (const char* step : {"1", "2"}) folder_.WriteBase(std::string("full-") + step + ".safetensors", folder_.base());
  PackOptions options = folder_.Options();
  options.checkpoints = folder_ / "full-*.safetensors";
  EXPECT_THAT(MessageOf<ConfigError>([&] { Pack(options); }), HasSubstr("--base-model"));
  options.base_model.reset();
  EXPECT_FALSE(Pack(options).trajectory.lora.has_value());
  options.checkpoints = folder_ / "*" / "step-1.safetensors";
  EXPECT_THAT(RefusalOf(options), AllOf(HasSubstr("expected full weights"), HasSubstr("x.traj")));
}

class LoraTrajectoryTest : public ::testing::Test {
 protected:
  LoraTrajectoryTest() {
    folder_.WriteCheckpoints(KohyaDialect(), 3);
    Pack(folder_.Options());
  }
  std::int64_t VersionOf(const fs::path& trajectory) const {
    return Hdf5Group::OpenFile(trajectory / "manifest.h5").ReadIntegerAttribute("version");
  }

  LoraFolder folder_;
};

TEST_F(LoraTrajectoryTest, OlderReadersRefuseItAndOldTrajectoriesKeepTheirVersion) {
  EXPECT_EQ(VersionOf(folder_ / "x.traj"), 2);
  for (const char* step : {"1", "2"}) folder_.WriteBase(std::string("full-") + step + ".safetensors", folder_.base());
  PackOptions full;
  full.checkpoints = folder_ / "full-*.safetensors";
  full.output = folder_ / "full.traj";
  Pack(full);
  EXPECT_EQ(VersionOf(folder_ / "full.traj"), 1);
}

TEST_F(LoraTrajectoryTest, AppendingEqualsPackingAtOnceAndNeedsNoBaseModelAgain) {
  const LoraFolder parts;
  parts.WriteCheckpoints(KohyaDialect(), 2);
  Pack(parts.Options());
  parts.WriteCheckpoints(KohyaDialect(), 3);
  PackOptions again = parts.Options();
  again.base_model.reset();
  EXPECT_EQ(Pack(again).num_packed, 1);
  EXPECT_EQ(ReadTrajectory(parts / "x.traj").Digest(), ReadTrajectory(folder_ / "x.traj").Digest());
}

TEST_F(LoraTrajectoryTest, TheDigestNamesTheBaseModel) {
  LoraFolder other;
  NamedTensors base = other.base();
  base["mid.mix.bias"][0] += 1;
  other.WriteBase("base.safetensors", base);
  other.WriteCheckpoints(KohyaDialect(), 3);
  EXPECT_NE(Pack(other.Options()).trajectory.Digest(), ReadTrajectory(folder_ / "x.traj").Digest());
}

TEST_F(LoraTrajectoryTest, AChangedOrMissingBaseModelIsRefusedAndOneBesideTheTrajectoryIsFound) {
  Trajectory trajectory = ReadTrajectory(folder_ / "x.traj");
  trajectory.lora->base_model = "/nowhere/base.safetensors";
  EXPECT_EQ(OpenBaseModel(*trajectory.lora, trajectory.folder)->entries().size(), 5u);
  EXPECT_NO_THROW(VerifyTrajectory(folder_ / "x.traj"));
  NamedTensors base = folder_.base();
  base["mid.mix.bias"][0] += 1;
  folder_.WriteBase("base.safetensors", base);
  EXPECT_THAT(MessageOf<InputError>([&] { VerifyTrajectory(folder_ / "x.traj"); }),
              AllOf(HasSubstr("base.safetensors"), HasSubstr(trajectory.lora->base_digest)));
  fs::remove(folder_ / "base.safetensors");
  EXPECT_THAT(MessageOf<InputError>([&] { OpenBaseModel(*trajectory.lora, trajectory.folder); }),
              AllOf(HasSubstr("/nowhere/base.safetensors"), HasSubstr("neither")));
}

TEST_F(LoraTrajectoryTest, TheBaseModelMayBeADictInANestedFile) {
  WriteTorchArchive(folder_ / "flat.pt", folder_.base());
  WriteBytes(folder_ / "nest.py",
             "import os, sys, torch\nos.chdir(sys.argv[1])\nbase = torch.load('flat.pt')\n"
             "torch.save({'raw': {k: v + 1 for k, v in base.items()}, 'ema': base}, 'nested.pt')\n");
  const CommandResult nested = RunCommand({"/usr/bin/python3", folder_ / "nest.py", folder_ / ""});
  ASSERT_EQ(nested.exit_code, 0) << nested.err;
  PackOptions options = folder_.Options();
  options.network = folder_ / "network.json";
  WriteBytes(*options.network, R"({"model_type": "toy"})");
  options.base_model = folder_ / "nested.pt";
  options.output = folder_ / "nested.traj";
  EXPECT_THAT(RefusalOf(options),
              AllOf(HasSubstr("--base-model-key"), HasSubstr("\"ema\" (5 tensors)"), HasSubstr("nested.pt")));
  options.base_model_key = "ema";
  Pack(options);
  const Trajectory trajectory = ReadTrajectory(options.output);
  const auto base_model = OpenBaseModel(*trajectory.lora, options.output);
  EXPECT_TRUE(base_model->Read("mid.mix.bias").equal(folder_.base().at("mid.mix.bias")));
  EXPECT_NO_THROW(VerifyTrajectory(options.output));
  EXPECT_EQ(DescribeFile(options.output)["lora_base_key"], "ema");
  options.base_model.reset();
  options.base_model_key = "";
  EXPECT_EQ(Pack(options).num_packed, 0);  // it is known from before
  options.base_model = folder_ / "nested.pt";
  options.base_model_key = "raw";
  EXPECT_THAT(RefusalOf(options), AllOf(HasSubstr("key \"ema\""), HasSubstr("\"raw\"")));
  options.output = folder_ / "raw.traj";
  EXPECT_NE(Pack(options).trajectory.Digest(), trajectory.Digest());
  options.base_model.reset();
  options.output = folder_ / "no.traj";
  EXPECT_THAT(MessageOf<ConfigError>([&] { Pack(options); }), HasSubstr("--base-model beside it"));
}

TEST_F(LoraTrajectoryTest, TheInspectorShowsTheFactors) {
  const nlohmann::json description = DescribeFile(folder_ / "x.traj");
  EXPECT_EQ(description["version"], 2);
  EXPECT_EQ(description["lora_base_model"], (folder_ / "base.safetensors").string());
  EXPECT_EQ(description["lora_base_digest"], DigestOfFile(folder_ / "base.safetensors"));
  ASSERT_EQ(description["lora_layers"].size(), 3u);
  EXPECT_EQ(description["lora_layers"][0]["target"], "down_blocks.0.conv_in.weight");
  EXPECT_EQ(description["lora_layers"][0]["rank"], 3);
  EXPECT_EQ(description["lora_layers"][0]["scale"], 0.5);
}

TEST_F(LoraTrajectoryTest, ADamagedManifestIsRefusedWhereverTheBitFlips) {
  const auto path = folder_ / "x.traj" / "manifest.h5";
  const std::string bytes = ReadBytes(path);
  for (const char* const part : {"mid.mix.weight", "[6, 4, 3, 3]", "lora_unet_mid_mix.alpha", "base.safetensors"}) {
    std::string flipped = bytes;
    const std::size_t place = flipped.rfind(part);
    ASSERT_NE(place, std::string::npos) << part;
    flipped[place + 1] ^= 1;
    WriteBytes(path, flipped);
    EXPECT_THAT(MessageOf<InputError>([&] { ReadTrajectory(folder_ / "x.traj"); }), HasSubstr("manifest.h5")) << part;
  }
}

}  // namespace
}  // namespace lcsc
