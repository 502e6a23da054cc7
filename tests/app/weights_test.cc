// Weights in every format that users have, through every command that opens some.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "app/run_command.h"
#include "lcsc/io/torch_archive.h"
#include "store/checkpoints.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kPython = "/usr/bin/python3";
constexpr const char* kConvert = LCSC_SOURCE_DIR "/launch/convert_pickle.py";

std::string Data(const std::string& name) { return LCSC_SOURCE_DIR "/tests/data/" + name; }

class WeightsTest : public ::testing::Test {
 protected:
  WeightsTest() {
    WriteBytes(Path("network.json"), SafetensorsFile(Data("edm_ddpmpp.weights.safetensors")).metadata().at("config"));
  }

  std::string Path(const std::string& name) const { return folder_ / name; }

  static CommandResult Must(const Arguments& command) {
    CommandResult result = RunCommand(command);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result;
  }
  static Json JsonOf(const Arguments& arguments) {
    return Json::parse(Must(Lcsc(arguments)).out, nullptr, /*allow_exceptions=*/false);
  }
  static void ExpectRefused(const Arguments& arguments, const std::string& words) {
    const CommandResult result = RunCommand(Lcsc(arguments));
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr("lcsc: error: "), HasSubstr(words)));
  }

  // How the options name the nested file's weights.
  Arguments Nested() const {
    return {"--weights", Data("edm_ddpmpp.nested.pt"), "--key", "ema", "--network", Path("network.json")};
  }

  TempFolder folder_;
};

TEST_F(WeightsTest, InspectShowsTorchFiles) {
  const Json expected = JsonOf({"inspect", Data("edm_ddpmpp.weights.safetensors"), "--json"})["tensors"];
  EXPECT_EQ(JsonOf({"inspect", Data("edm_ddpmpp.weights.pt"), "--json"})["tensors"], expected);
  const Json nested = JsonOf({"inspect", Data("edm_ddpmpp.nested.pt"), "--json"});
  EXPECT_EQ(nested["state_dicts"],
            Json::parse(R"([{"key": "ema", "tensors": )" + std::to_string(expected.size()) + "}]"));
  const Json ema = JsonOf({"inspect", Data("edm_ddpmpp.nested.pt"), "--key", "ema", "--json"});
  EXPECT_EQ(ema["tensors"], expected);
  EXPECT_EQ(ema["metadata"]["step"], "1000");
  EXPECT_THAT(Must(Lcsc({"inspect", Data("edm_ddpmpp.nested.pt")})).out, HasSubstr("state_dicts:"));
  ExpectRefused({"inspect", Data("torch_evil_system.pt")}, "\"posix.system\"");
}

TEST_F(WeightsTest, TheFixtureIsReproducedFromANestedTorchFile) {
  Must(Lcsc(Arguments{"denoise", "--inputs", Data("edm_ddpmpp.io.safetensors"), "--output", Path("o.safetensors")} +
            Nested()));
  const at::Tensor expected = ReadSafetensors(Data("edm_ddpmpp.io.safetensors")).at("denoised");
  const at::Tensor found = ReadSafetensors(Path("o.safetensors")).at("denoised");
  const double error = ((found - expected).norm() / expected.norm()).item<double>();
  std::cout << "edm_ddpmpp.nested.pt: relative error " << error << "\n";
  EXPECT_LT(error, 1e-5);
}

TEST_F(WeightsTest, SamplesOfBothFormatsAreTheSame) {
  const Arguments sample = {"sample", "--num-samples", "2", "--set", "run.threads=1"};
  Must(Lcsc(sample + Nested() + Arguments{"--output", Path("pt.npz")}));
  Must(Lcsc(sample + Arguments{"--weights", Data("edm_ddpmpp.weights.safetensors"), "--output", Path("st.npz")}));
  EXPECT_EQ(ReadBytes(Path("pt.npz")), ReadBytes(Path("st.npz")));
}

TEST_F(WeightsTest, WhatIsMissingIsNamed) {
  const std::string nested = Data("edm_ddpmpp.nested.pt");
  const Arguments sample = {"sample", "--output", Path("x.npz"), "--weights"};
  ExpectRefused(sample + Arguments{nested}, "\"ema\" (");
  ExpectRefused(sample + Arguments{nested, "--key", "ema"}, "give it with --network");
  ExpectRefused(sample + Arguments{nested, "--key", "ema", "--network", Path("none.json")}, "none.json");
  ExpectRefused({"evaluate", "--extractor", "x", "--reference", "y", "--weights", Data("edm_ddpmpp.weights.pt")},
                "give it with --network");
  EXPECT_FALSE(fs::exists(Path("x.npz")));
}

TEST_F(WeightsTest, MergedWeightsAreWrittenAsTorchSaveWritesThem) {
  CheckpointFolder checkpoints;
  for (const int i : {0, 1}) {
    NamedTensors tensors = ToyTensors(i);
    tensors["half"] = at::full({2, 1}, 0.5 + i, at::kHalf);
    tensors["brain"] = at::full({1}, 1.5 + i, at::kBFloat16);
    tensors["empty"] = at::zeros({0, 3});
    tensors["flag"] = at::ones({2}, at::kBool);
    checkpoints.Write(CheckpointFolder::NameOf(i), tensors);
  }
  Must(Lcsc({"pack", "--checkpoints", checkpoints / "ckpt/*", "--output", checkpoints.output()}));
  const Arguments merge = {"merge", "--trajectory", checkpoints.output(), "--ema-rate", "0", "--output"};
  ExpectRefused(merge + Arguments{Path("x.npz")}, "ends in .safetensors, .pt");
  Must(Lcsc(merge + Arguments{Path("x.pt")}));
  const NamedTensors last = ReadSafetensors(checkpoints / "ckpt" / CheckpointFolder::NameOf(1));
  const NamedTensors merged = TorchArchive(Path("x.pt")).ReadAll();
  ASSERT_EQ(merged.size(), last.size());
  for (const auto& [name, tensor] : last) {
    EXPECT_EQ(merged.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(merged.at(name), tensor)) << name;
  }
  const std::string script =
      "import torch, sys, json; d = torch.load(sys.argv[1])\n"
      "print(json.dumps([type(d).__name__] + [[k, str(v.dtype), v.double().tolist()] for k, v in d.items()]))";
  const Json loaded = Json::parse(Must({kPython, "-c", script, Path("x.pt")}).out);
  EXPECT_EQ(loaded.size(), last.size() + 1);
  EXPECT_EQ(loaded[0], "OrderedDict");
  EXPECT_EQ(loaded[2][0], "b");
  EXPECT_EQ(loaded[2][1], "torch.float32");
  for (std::size_t i = 0; i < 5; ++i)
    EXPECT_EQ(loaded[2][2][i], last.at("b")[static_cast<std::int64_t>(i)].item<double>());
  EXPECT_EQ(loaded[3], Json({"brain", "torch.bfloat16", {2.5}}));
  EXPECT_EQ(loaded[5], Json({"flag", "torch.bool", {1.0, 1.0}}));
}

// A module whose class keeps its arguments, as EDM's persistent classes do, pickled by a program of its own.
constexpr const char* kFakeCode = R"(
import torch
class Network(torch.nn.Module):
    def __init__(self, img_resolution, img_channels, label_dim=0, sigma_max=float('inf'), **kwargs):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(6.).reshape(2, 3).t())
        self.register_buffer('count', torch.tensor(3))
        self.brain = torch.nn.Parameter(torch.full((2,), 1.5, dtype=torch.bfloat16))
class EDMPrecond(Network):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._init_args, self._init_kwargs = args, kwargs
    init_args = property(lambda self: list(self._init_args))
    init_kwargs = property(lambda self: dict(self._init_kwargs))
Network.__name__ = 'EDMPrecond'
class ECMPrecond(EDMPrecond):
    pass
)";

TEST_F(WeightsTest, APickledModuleIsConvertedWhereItsCodeRuns) {
  WriteBytes(Path("fake_code.py"), kFakeCode);
  const std::string pickle = Path("network-snapshot-000200.pkl");
  ::setenv("PYTHONPATH", folder_.path().c_str(), /*overwrite=*/1);
  Must({kPython, "-c",
        "import pickle, sys, fake_code\n"
        "network = fake_code.EDMPrecond(16, 3, sigma_max=float('inf'), model_type='SongUNet', channel_mult=(1, 2))\n"
        "pickle.dump({'ema': network, 'loss': None}, open(sys.argv[1], 'wb'))",
        pickle});
  ExpectRefused({"inspect", pickle}, "\"fake_code.EDMPrecond\"");
  EXPECT_THAT(RunCommand({kPython, kConvert, pickle}).err, HasSubstr("choose one with --key: ema"));
  Must({kPython, kConvert, "--key", "ema", "--output", Path("out"), pickle});
  ::unsetenv("PYTHONPATH");
  const CommandResult without_code = RunCommand({kPython, kConvert, "--key", "ema", pickle});
  EXPECT_EQ(without_code.exit_code, 2);
  EXPECT_THAT(without_code.err, AllOf(HasSubstr("fake_code"), HasSubstr("PYTHONPATH")));
  const std::string converted = Path("out/network-snapshot-000200.safetensors");
  const Json description = JsonOf({"inspect", converted, "--json"});
  EXPECT_EQ(description["metadata"]["step"], "200");
  EXPECT_EQ(description["network"], Json::parse(R"({"precond": "EDMPrecond", "img_resolution": 16, "img_channels": 3,
                                                    "model_type": "SongUNet", "channel_mult": [1, 2]})"));
  const NamedTensors tensors = ReadSafetensors(converted);
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_TRUE(at::equal(tensors.at("weight"), at::arange(6, at::kFloat).reshape({2, 3}).t()));
  EXPECT_TRUE(at::equal(tensors.at("brain"), at::full({2}, 1.5, at::kBFloat16)));
  EXPECT_EQ(tensors.at("count").item<std::int64_t>(), 3);
}

TEST_F(WeightsTest, APickledModuleOfEctKeepsItsNetworkToo) {
  WriteBytes(Path("fake_code.py"), kFakeCode);
  const std::string pickle = Path("network-snapshot-000300.pkl");
  ::setenv("PYTHONPATH", folder_.path().c_str(), /*overwrite=*/1);
  Must({kPython, "-c",
        "import pickle, sys, fake_code\n"
        "network = fake_code.ECMPrecond(img_resolution=16, img_channels=3, model_type='SongUNet')\n"
        "pickle.dump({'ema': network}, open(sys.argv[1], 'wb'))",
        pickle});
  Must({kPython, kConvert, "--key", "ema", "--output", Path("out"), pickle});
  ::unsetenv("PYTHONPATH");
  const Json description = JsonOf({"inspect", Path("out/network-snapshot-000300.safetensors"), "--json"});
  EXPECT_EQ(description["network"], Json::parse(R"({"precond": "ECMPrecond", "img_resolution": 16, "img_channels": 3,
                                                    "model_type": "SongUNet"})"));
}

}  // namespace
}  // namespace lcsc
