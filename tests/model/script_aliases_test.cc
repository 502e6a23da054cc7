// Modules whose tensors share memory, under weights that are bound to a flat vector and under weights that are loaded.
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include "lcsc/base/error.h"
#include "lcsc/model/registry.h"
#include "support/run_program.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// D(x; sigma) = first . (1, 10, 100) + 1000 other . (1, 10, 100), in every pixel.
constexpr const char* kOneTensor = R"(
def forward(self, x, sigma):
    places = torch.tensor([1.0, 10.0, 100.0])
    return x * 0 + (self.first * places).sum() + 1000 * (self.other * places[0:self.other.size(0)]).sum()
)";
constexpr const char* kList = R"(
def forward(self, x, sigma):
    places = torch.tensor([1.0, 10.0, 100.0])
    return x * 0 + (self.first * places).sum() + 1000 * (self.other[0] * places).sum()
)";

class ScriptAliasesTest : public ::testing::Test {
 protected:
  ScriptAliasesTest() : module_("__torch__.Net"), first_(at::tensor({1.0f, 2.0f, 3.0f})) {
    module_.register_parameter("first", first_, /*is_buffer=*/false);
  }

  std::shared_ptr<Denoiser> Network(const char* forward = kOneTensor) {
    module_.define(forward);
    module_.save(file());
    return OpenNetwork();
  }
  std::shared_ptr<Denoiser> OpenNetwork() const {
    return MakeDenoiser(
        {{"model_type", "TorchScript"}, {"module", file()}, {"img_channels", 1}, {"img_resolution", 1}});
  }
  std::string file() const { return folder_ / "net.ts.pt"; }

  static float Output(Denoiser& network) {
    const c10::InferenceMode no_gradients;
    return network.Denoise(at::ones({1, 1, 1, 1}), at::ones({1}), {}).item<float>();
  }

  // The network's output with 3, 4, 5 as the parameter `name`.
  static float BoundOutput(Denoiser& network, const std::string& name, const NamedTensors& carried = {}) {
    const TensorTable table({{name, DataType::kFloat32, {3}, 0}});
    const at::Tensor flat = at::zeros({3});
    BindFlatWeights(network, table, flat, carried, "x.traj");
    flat.copy_(at::tensor({3.0f, 4.0f, 5.0f}));
    return Output(network);
  }
  static constexpr float kBound = 543, kBoundBoth = 543543;

  TempFolder folder_;
  torch::jit::Module module_;
  at::Tensor first_;
};

TEST_F(ScriptAliasesTest, OneTensorUnderTwoNamesIsGivenUnderEither) {
  module_.register_parameter("other", first_, /*is_buffer=*/false);
  EXPECT_EQ(BoundOutput(*Network(), "first"), kBoundBoth);
  const auto network = OpenNetwork();
  EXPECT_EQ(BoundOutput(*network, "other"), kBoundBoth);
  LoadStateDict(*network, {{"other", at::tensor({1.0f, 0.0f, 0.0f})}}, "a.safetensors");
  EXPECT_EQ(Output(*network), 1001);
}

TEST_F(ScriptAliasesTest, TwoTensorsOfTheSameMemoryAreGivenUnderEither) {
  module_.register_parameter("other", first_.detach(), /*is_buffer=*/false);
  const auto network = Network();
  ASSERT_EQ(TiedTensorsOf(*network).size(), 2u);
  EXPECT_EQ(BoundOutput(*network, "other"), kBoundBoth);
}

TEST_F(ScriptAliasesTest, ABufferOfTheWholeParameterFollowsIt) {
  module_.register_buffer("other", first_.detach());
  EXPECT_EQ(BoundOutput(*Network(), "first"), kBoundBoth);
}

TEST_F(ScriptAliasesTest, AListOfParametersFollowsThem) {
  module_.register_attribute("other", c10::ListType::ofTensors(), c10::List<at::Tensor>({first_.detach()}));
  EXPECT_EQ(BoundOutput(*Network(kList), "first"), kBoundBoth);
}

TEST_F(ScriptAliasesTest, AViewOfAPartIsRefusedWithBothNames) {
  module_.register_buffer("other", first_.detach().narrow(0, 0, 2));
  const auto network = Network();
  EXPECT_THAT(MessageOf<InputError>([&] { BoundOutput(*OpenNetwork(), "first"); }),
              AllOf(HasSubstr("net.ts.pt"), HasSubstr("other is a view of the parameter first"), HasSubstr("clone")));
  // Loaded weights are copied into the memory that both have.
  LoadStateDict(*network, {{"first", at::tensor({3.0f, 4.0f, 5.0f})}}, "a.safetensors");
  EXPECT_EQ(Output(*network), 43543);
}

TEST_F(ScriptAliasesTest, AViewThatTheCheckpointsHaveIsBoundByItself) {
  module_.register_buffer("other", first_.detach().narrow(0, 0, 2));
  EXPECT_EQ(BoundOutput(*Network(), "first", {{"other", at::tensor({7.0f, 0.0f})}}), 7543);
}

TEST_F(ScriptAliasesTest, NeighboursInOneStorageAreNoAliases) {
  const at::Tensor storage = at::arange(6, at::kFloat);
  torch::jit::Module module("__torch__.Flat");
  module.register_parameter("first", storage.narrow(0, 0, 3), /*is_buffer=*/false);
  module.register_buffer("other", storage.narrow(0, 3, 3));
  module_ = module;
  EXPECT_EQ(BoundOutput(*Network(), "first"), 543543);  // of other: 3, 4, 5
}

TEST_F(ScriptAliasesTest, ValuesThatDifferUnderTwoNamesAreRefused) {
  module_.register_parameter("other", first_, /*is_buffer=*/false);
  const auto network = Network();
  const at::Tensor values = at::tensor({3.0f, 4.0f, 5.0f});
  LoadStateDict(*network, {{"first", values}, {"other", values * (1 + 1e-7)}}, "a.safetensors");
  EXPECT_FLOAT_EQ(Output(*network), kBoundBoth);
  EXPECT_THAT(MessageOf<InputError>([&] {
                LoadStateDict(*network, {{"first", values}, {"other", values + 1}}, "a.safetensors");
              }),
              AllOf(HasSubstr("a.safetensors: first and other differ"), HasSubstr("same memory")));
}

// Where PyTorch keeps the weights of a recurrent layer a second time, in a list.
TEST_F(ScriptAliasesTest, ARecurrentLayerFollowsItsWeights) {
  WriteBytes(folder_ / "export.py", R"(
import sys, torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.LSTM(3, 3, batch_first=True)
    def forward(self, x, sigma):
        return self.rnn(x[:, 0])[0].unsqueeze(1)
net = Net().eval()
torch.jit.script(net).save(sys.argv[1] + "/lstm.ts.pt")
for p in net.parameters(): p.data.normal_()
torch.save(net.state_dict(), sys.argv[1] + "/weights.pt")
x = torch.randn(2, 1, 3, 3)
torch.save({"x": x, "y": net(x, torch.ones(2)).detach()}, sys.argv[1] + "/io.pt")
)");
  const CommandResult exported = RunCommand({"/usr/bin/python3", folder_ / "export.py", folder_.path()});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  const auto network = MakeDenoiser(
      {{"model_type", "TorchScript"}, {"module", folder_ / "lstm.ts.pt"}, {"img_channels", 1}, {"img_resolution", 3}});
  const auto weights = OpenTensorFile(folder_ / "weights.pt");
  const TensorTable table(weights->entries());
  const at::Tensor flat = at::zeros({table.num_elements()});
  BindFlatWeights(*network, table, flat, {}, "x.traj");
  for (const TensorEntry& entry : table.entries()) {
    flat.narrow(0, entry.offset, entry.num_elements()).copy_(weights->Read(entry.name).flatten());
  }
  const auto io = OpenTensorFile(folder_ / "io.pt")->ReadAll();
  const c10::InferenceMode no_gradients;
  const at::Tensor found = network->Denoise(io.at("x"), at::ones({2}), {});
  const double error = ((found - io.at("y")).norm() / io.at("y").norm()).item<double>();
  std::printf("relative error against Python: %.1e\n", error);
  EXPECT_LT(error, 1e-5);
}

}  // namespace
}  // namespace lcsc
