// `lcsc denoise` as a user runs it: every recorded network through the command, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "app/command.h"
#include "app/run_command.h"
#include "lcsc/io/safetensors.h"

namespace lcsc {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Data(const std::string& name) { return std::string(LCSC_SOURCE_DIR) + "/tests/data/" + name; }

double RelativeError(const at::Tensor& found, const at::Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

class DenoiseCommandTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_ / name; }
  Arguments Command(const std::string& network, const std::string& inputs) const {
    return {"denoise",  "--weights", Data(network + ".weights.safetensors"), "--inputs", inputs,
            "--output", Path("out")};
  }

  // Inputs of a recorded network with a change.
  std::string Changed(const std::string& network, const std::function<void(NamedTensors&)>& change) const {
    NamedTensors tensors = ReadSafetensors(Data(network + ".io.safetensors"));
    change(tensors);
    WriteSafetensors(Path("changed.safetensors"), tensors);
    return Path("changed.safetensors");
  }

  // In this process: the same way through the program, without paying its start for each refusal.
  void ExpectRefused(const Arguments& command, const std::vector<std::string>& words) const {
    const std::string message = MessageOf<Error>([&] { RunCommandLine(World{}, command); });
    for (const std::string& word : words) EXPECT_THAT(message, HasSubstr(word));
    EXPECT_FALSE(std::filesystem::exists(Path("out")));
  }
  void ExpectRefused(const std::string& network, const std::function<void(NamedTensors&)>& change,
                     const std::vector<std::string>& words) const {
    ExpectRefused(Command(network, Changed(network, change)), words);
  }

  const TempFolder folder_;
};

class EveryNetwork : public DenoiseCommandTest, public testing::WithParamInterface<std::string> {};

TEST_P(EveryNetwork, GivesTheRecordedOutputs) {
  const std::string inputs = Data(GetParam() + ".io.safetensors");
  const CommandResult result = RunCommand(Lcsc(Command(GetParam(), inputs) + Arguments{"--json"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["samples"], 3);
  EXPECT_FALSE(json.contains("relative_error"));
  const NamedTensors found = ReadSafetensors(Path("out")), recorded = ReadSafetensors(inputs);
  ASSERT_TRUE(found.contains("network_output"));
  EXPECT_EQ(found.contains("denoised"), recorded.contains("sigma"));
  int compared = 0;
  for (const auto& [name, tensor] : found) {
    if (!recorded.contains(name)) continue;
    const double error = RelativeError(tensor, recorded.at(name));
    std::printf("lcsc denoise, %s, %s: relative L2 error %.2e\n", GetParam().c_str(), name.c_str(), error);
    EXPECT_LT(error, 1e-5) << name;
    ++compared;
  }
  EXPECT_GE(compared, 1);
}

INSTANTIATE_TEST_SUITE_P(Networks, EveryNetwork,
                         testing::Values("edm_ddpmpp", "edm_ncsnpp", "edm_dhariwal", "cm_adm", "ddpm_unet",
                                         "iddpm_unet"),
                         [](const auto& instance) { return instance.param; });

TEST_F(DenoiseCommandTest, PrintsWhat16BitsCost) {
  const std::string inputs = Data("cm_adm.io.safetensors");
  for (const auto& [precision, most] : {std::pair{"bf16", 4e-2}, std::pair{"f16", 4e-3}}) {
    const Arguments more = {"--json", "--precision", precision};
    const CommandResult result = RunCommand(Lcsc(Command("cm_adm", inputs) + more));
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const double printed = nlohmann::json::parse(result.out)["relative_error"];
    // The outputs are those of the precision, and the error is theirs.
    const double error =
        RelativeError(ReadSafetensors(Path("out")).at("denoised"), ReadSafetensors(inputs).at("denoised"));
    EXPECT_NEAR(printed / error, 1, 1e-2);
    EXPECT_GT(printed, 1e-5);
    EXPECT_LT(printed, most);
  }
}

TEST_F(DenoiseCommandTest, TakesTheNetworkFromAFileAndOneSigmaForAllSamples) {
  const SafetensorsFile weights(Data("cm_adm.weights.safetensors"));
  WriteSafetensors(Path("bare.safetensors"), weights.ReadAll());
  nlohmann::json json = nlohmann::json::parse(weights.metadata().at("config"));
  json["distillation"] = false;
  std::ofstream(Path("net.json")) << json;
  const std::string inputs = Changed("cm_adm", [](NamedTensors& io) {
    io["sigma"] = at::full({}, 1.5, at::kDouble);
    io["class_labels"] = at::one_hot(io["y"], 10).to(at::kHalf);
    io.erase("y");
  });
  RunCommandLine(World{}, {"denoise", "--weights", Path("bare.safetensors"), "--network", Path("net.json"), "--inputs",
                           inputs, "--output", Path("out")});
  const NamedTensors found = ReadSafetensors(Path("out")), io = ReadSafetensors(Data("cm_adm.io.safetensors"));
  // The middle sample was recorded at 1.5, with the scalings of a consistency function; a teacher's are others.
  const at::Tensor f = found.at("network_output")[1], x = io.at("x")[1];
  EXPECT_LT(RelativeError(f, io.at("network_output")[1]), 1e-5);
  const double variance = 0.25, level = 1.5, sum = level * level + variance;
  EXPECT_LT(RelativeError(found.at("denoised")[1], x * (variance / sum) + f * (level * 0.5 / std::sqrt(sum))), 1e-6);
}

// sigma for a network with steps: D = x - sigma eps, at the step that has this noise level.
TEST_F(DenoiseCommandTest, DenoisesWithANetworkThatPredictsNoise) {
  double alpha_bar = 1;
  for (int i = 0; i <= 500; ++i) alpha_bar *= 1 - (1e-4 + i / 999.0 * (0.02 - 1e-4));
  const double sigma = std::sqrt((1 - alpha_bar) / alpha_bar);
  const NamedTensors io = ReadSafetensors(Data("ddpm_unet.io.safetensors"));
  const std::string inputs = Changed("ddpm_unet", [&](NamedTensors& changed) {
    changed.erase("t");
    changed["sigma"] = at::full({3}, sigma, at::kDouble);
    changed["x"] = changed["x"] / std::sqrt(alpha_bar);
  });
  RunCommandLine(World{}, Command("ddpm_unet", inputs));
  const NamedTensors found = ReadSafetensors(Path("out"));
  EXPECT_LT(RelativeError(found.at("eps")[1], io.at("eps")[1]), 1e-5);
  const at::Tensor expected = io.at("x")[1] / std::sqrt(alpha_bar) - io.at("eps")[1] * sigma;
  EXPECT_LT(RelativeError(found.at("denoised")[1], expected), 1e-5);
}

TEST_F(DenoiseCommandTest, RefusesInputsThatDoNotFitTheNetwork) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  ExpectRefused("cm_adm", [](auto& io) { io.erase("x"); }, {"changed.safetensors", "\"x\""});
  ExpectRefused("cm_adm", [](auto& io) { io["x"] = at::zeros({3, 3, 8, 8}); }, {"[n, 3, 16, 16]", "[3, 3, 8, 8]"});
  ExpectRefused("cm_adm", [](auto& io) { io["x"] = at::zeros({0, 3, 16, 16}); }, {"[0, 3, 16, 16]"});
  ExpectRefused("cm_adm", [](auto& io) { io["x"] = io["x"].ge(0); }, {"tensor x", "BOOL"});
  ExpectRefused("cm_adm", [&](auto& io) { io["x"][1][0][0][0] = nan; }, {"tensor x", "NaN"});
  ExpectRefused("cm_adm", [](auto& io) { io["sigma"] = at::ones({2}); }, {"tensor sigma", "[3]", "[2]"});
  ExpectRefused("cm_adm", [](auto& io) { io["sigma"][0] = -1; }, {"tensor sigma", "above 0"});
  ExpectRefused("cm_adm", [](auto& io) { io["t"] = io["sigma"]; }, {"sigma", "both"});
  ExpectRefused("cm_adm", [](auto& io) { io.erase("sigma"); }, {"sigma", "neither"});
  ExpectRefused("cm_adm", [](auto& io) { io["y"][2] = 10; }, {"tensor y", "0 to 9", "10"});
  ExpectRefused("cm_adm", [](auto& io) { io["y"][2] = -1; }, {"tensor y", "-1"});
  ExpectRefused("cm_adm", [](auto& io) { io["y"] = io["y"].to(at::kFloat); }, {"tensor y", "F32"});
  ExpectRefused("cm_adm", [](auto& io) { io.erase("y"); }, {"10 classes", "y (int64)"});
  ExpectRefused("cm_adm", [](auto& io) { io["class_labels"] = at::zeros({3, 10}); }, {"both"});
  ExpectRefused("edm_dhariwal", [](auto& io) { io["class_labels"] = at::zeros({3, 9}); }, {"class_labels", "[3, 10]"});
  ExpectRefused("edm_ddpmpp", [](auto& io) { io["y"] = at::zeros({3}, at::kLong); }, {"tensor y", "no classes"});
  const auto half_labels = [](auto& io) {
    io["class_labels"] = at::full({3, 10}, 0.1);
    io.erase("y");
  };
  ExpectRefused("cm_adm", half_labels, {"class_labels", "single 1"});
}

TEST_F(DenoiseCommandTest, RefusesFilesThatAreMissingOrDoNotBelongTogether) {
  const std::string inputs = Data("cm_adm.io.safetensors");
  ExpectRefused(Command("cm_adm", Path("none")), {Path("none")});
  ExpectRefused({"denoise", "--weights", Path("none"), "--inputs", inputs, "--output", Path("out")}, {Path("none")});
  ExpectRefused({"denoise", "--inputs", inputs, "--output", Path("out")}, {"--weights"});
  ExpectRefused(Command("cm_adm", inputs) + Arguments{"--network", Path("none")}, {"--network", Path("none")});
  std::ofstream(Path("broken.json")) << "{";
  ExpectRefused(Command("cm_adm", inputs) + Arguments{"--network", Path("broken.json")}, {"broken.json", "no JSON"});
  ExpectRefused(Command("cm_adm", inputs) + Arguments{"--precision", "half"}, {"precision", "half"});
  nlohmann::json json =
      nlohmann::json::parse(SafetensorsFile(Data("cm_adm.weights.safetensors")).metadata().at("config"));
  json["num_res_blocks"] = 2;
  std::ofstream(Path("deeper.json")) << json;
  ExpectRefused(Command("cm_adm", inputs) + Arguments{"--network", Path("deeper.json")},
                {"cm_adm.weights.safetensors", "more differences"});
}

TEST_F(DenoiseCommandTest, RefusesWeightsWhoseOutputIsNotFinite) {
  const SafetensorsFile weights(Data("ddpm_unet.weights.safetensors"));
  NamedTensors tensors = weights.ReadAll();
  tensors["conv_out.bias"][0] = std::numeric_limits<float>::infinity();
  WriteSafetensors(Path("infinite.safetensors"), tensors, weights.metadata());
  ExpectRefused({"denoise", "--weights", Path("infinite.safetensors"), "--inputs", Data("ddpm_unet.io.safetensors"),
                 "--output", Path("out")},
                {"infinite.safetensors", "not finite"});
}

}  // namespace
}  // namespace lcsc
