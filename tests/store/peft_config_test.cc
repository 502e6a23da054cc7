// Where the scale of LoRA factors comes from when peft or diffusers wrote them.
#include <gmock/gmock.h>
#include <spdlog/fmt/fmt.h>

#include <cmath>

#include "lcsc/base/error.h"
#include "lcsc/store/lora.h"
#include "store/lora_checkpoints.h"

namespace lcsc {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string RefusalOf(const PackOptions& options) {
  return MessageOf<InputError>([&] { Pack(options); });
}

class PeftConfigTest : public ::testing::Test {
 protected:
  PeftConfigTest() {
    const LoraDialect peft = DottedDialect("peft", "base_model.model.", ".lora_A.weight", ".lora_B.weight");
    for (const char* step : {"1", "2"}) {
      const fs::path checkpoint = folder_ / (std::string("checkpoint-") + step);
      fs::create_directory(checkpoint);
      WriteSafetensors(checkpoint / "adapter_model.safetensors", folder_.Factors(peft, 1));
    }
    options_ = folder_.Options();
    options_.checkpoints = folder_ / "checkpoint-*" / "adapter_model.safetensors";
  }
  void WriteConfig(const std::string& text) {
    for (const char* step : {"1", "2"}) {
      WriteBytes(folder_ / (std::string("checkpoint-") + step) / "adapter_config.json", text);
    }
  }
  // By target: conv_in (rank 3), fc (rank 2), mix (rank 1).
  std::vector<double> Scales() {
    std::vector<double> scales;
    fs::remove_all(options_.output);
    const PackReport report = Pack(options_);
    for (const LoraLayer& layer : report.trajectory.lora->layers) scales.push_back(layer.scale);
    return scales;
  }

  LoraFolder folder_;
  PackOptions options_;
};

constexpr const char* kPatterns = R"("r": 2, "rank_pattern": {"conv_in": 3, "mi.\\.mix": 1})";

TEST_F(PeftConfigTest, AlphaComesFromTheConfigBesideTheFileAndTheStepFromTheFolder) {
  WriteConfig(std::string("{\"lora_alpha\": 6,") + kPatterns + "}");
  EXPECT_EQ(Scales(), (std::vector<double>{2, 3, 6}));
  EXPECT_EQ(ReadTrajectory(options_.output).steps, (std::vector<std::int64_t>{1, 2}));
  WriteConfig(std::string("{\"lora_alpha\": 6, \"use_rslora\": true,") + kPatterns + "}");
  EXPECT_EQ(Scales(), (std::vector<double>{6 / std::sqrt(3.0), 6 / std::sqrt(2.0), 6}));
  WriteConfig(std::string("{\"lora_alpha\": 6, \"alpha_pattern\": {\"res_net.fc\": 5},") + kPatterns + "}");
  EXPECT_EQ(Scales(), (std::vector<double>{2, 2.5, 6}));
  options_.lora_alpha = 12;
  EXPECT_EQ(Scales(), (std::vector<double>{4, 6, 12}));
}

// Both keys fit the module, and the first in the file counts: neither the first of the alphabet nor the longest.
TEST_F(PeftConfigTest, OfTwoFittingPatternsTheFirstInTheFileCounts) {
  const std::string rest = std::string("\"lora_alpha\": 6,") + kPatterns + "}";
  WriteConfig(R"({"alpha_pattern": {"res_net.fc": 5, ".*fc": 7, "fc": 9}, )" + rest);
  EXPECT_EQ(Scales(), (std::vector<double>{2, 2.5, 6}));
  WriteConfig(R"({"alpha_pattern": {"fc": 9, ".*fc": 7, "res_net.fc": 5}, )" + rest);
  EXPECT_EQ(Scales(), (std::vector<double>{2, 4.5, 6}));
  WriteConfig(R"({"alpha_pattern": {"mix": 3, "down_blocks.0.conv_in": 9}, "lora_alpha": 6, "r": 2,
                  "rank_pattern": {"mid.mix": 1, "mix": 4, "conv_in": 3, ".*": 2}})");
  EXPECT_EQ(Scales(), (std::vector<double>{3, 3, 3}));
}

TEST_F(PeftConfigTest, AConfigOfAbsurdlyManyKeysIsRefused) {
  std::string keys;
  for (int i = 0; i < 20000; ++i) keys += fmt::format("\"{}\": 1,", i);
  WriteConfig(R"({"lora_alpha": 6, "r": 2, "rank_pattern": {)" + keys + R"("x": 1}})");
  EXPECT_THAT(RefusalOf(options_), AllOf(HasSubstr("adapter_config.json"), HasSubstr("at most 16384 keys")));
}

TEST(PeftConfig, AWrittenConfigNamesTheLongestModuleFirst) {
  LoraDescription lora;
  for (const char* module : {"mix", "mid.mix", "up.mid.mix"}) {
    LoraLayer layer;
    layer.down = std::string("base_model.model.") + module + ".lora_A.weight";
    lora.layers.push_back(layer);
  }
  const auto config = nlohmann::ordered_json::parse(AdapterConfigOf(lora, {4, 6, 2}));
  EXPECT_EQ(config["rank_pattern"].dump(), R"({"up.mid.mix":2,"mid.mix":6,"mix":4})");
  EXPECT_EQ(config["alpha_pattern"], config["rank_pattern"]);
  EXPECT_EQ(nlohmann::json::parse(AdapterConfigOf(lora, {4, 4, 4}))["rank_pattern"], nlohmann::json::object());
}

TEST_F(PeftConfigTest, AMissingOrUnfitConfigIsRefused) {
  EXPECT_THAT(RefusalOf(options_), AllOf(HasSubstr("adapter_config.json"), HasSubstr("--lora-alpha")));
  WriteConfig("{\"lora_alpha\": 6, \"r\": 2}");
  EXPECT_THAT(RefusalOf(options_), AllOf(HasSubstr("rank 2"), HasSubstr("found 3"), HasSubstr("conv_in")));
  WriteConfig("{\"r\": 2}");
  EXPECT_THAT(RefusalOf(options_), HasSubstr("lora_alpha"));
  WriteConfig("{\"use_dora\": true}");
  EXPECT_THAT(RefusalOf(options_), HasSubstr("use_dora"));
  WriteConfig("{\"lora_alpha\": -1," + std::string(kPatterns) + "}");
  EXPECT_THAT(RefusalOf(options_), HasSubstr("above 0"));
  WriteConfig("nonsense");
  EXPECT_THAT(RefusalOf(options_), HasSubstr("JSON object"));
  WriteConfig(R"({"lora_alpha": 6, "r": 2, "rank_pattern": {"((": 3}})");
  EXPECT_THAT(RefusalOf(options_), HasSubstr("regular expressions"));
}

TEST(PeftConfig, DiffusersKeepsTheConfigInTheFile) {
  const LoraFolder folder;
  const LoraDialect dialect = DottedDialect("", "unet.", ".lora_A.weight", ".lora_B.weight");
  for (const char* step : {"1", "2"}) {
    WriteSafetensors(folder / (std::string("l") + step + ".safetensors"), folder.Factors(dialect, 1),
                     {{"lora_adapter_metadata",
                       R"({"unet.r": 2, "unet.lora_alpha": 6, "unet.rank_pattern": {"conv_in": 3, "mix": 1},
                           "text_encoder.r": 5, "text_encoder.lora_alpha": 1})"}});
  }
  PackOptions options = folder.Options();
  options.checkpoints = folder / "l*.safetensors";
  const std::vector<LoraLayer> layers = Pack(options).trajectory.lora->layers;
  EXPECT_EQ(layers[0].scale, 2);
  EXPECT_EQ(layers[1].scale, 3);
  EXPECT_EQ(layers[2].scale, 6);
}

}  // namespace
}  // namespace lcsc
