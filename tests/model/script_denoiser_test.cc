#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include "lcsc/base/error.h"
#include "lcsc/model/image_scorer.h"
#include "lcsc/model/registry.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kForward = R"(
def forward(self, x, sigma, labels, text, style: Optional[Tensor] = None):
    image = self.body.forward(x) / (1 + sigma).view(-1, 1, 1, 1)
    shift = (labels * self.classes).sum(1) + text.mean(1)
    if style is not None:
        shift = shift + style.sum(1)
    return image + shift.view(-1, 1, 1, 1) + self.offset
)";

// D(x; sigma) = scale x / (1 + sigma) + labels . classes + mean(text) + sum(style) + offset
torch::jit::Module Module(at::ScalarType type = at::kFloat, const char* forward = kForward) {
  torch::jit::Module body("__torch__.Body");
  body.register_parameter("scale", at::full({2, 1, 1}, 2, type), /*is_buffer=*/false);
  body.define("def forward(self, x):\n    return x * self.scale\n");
  torch::jit::Module module("__torch__.Net");
  module.register_module("body", body);
  module.register_parameter("classes", at::tensor({0.0f, 10.0f, 20.0f}), /*is_buffer=*/false);
  module.register_buffer("offset", at::tensor({0.25f}));
  module.define(forward);
  return module;
}

class ScriptDenoiserTest : public ::testing::Test {
 protected:
  ScriptDenoiserTest() { Module().save(file()); }

  std::string file() const { return folder_ / "net.ts.pt"; }
  nlohmann::json Json() const {
    return {{"model_type", "TorchScript"},
            {"module", file()},
            {"img_channels", 2},
            {"img_resolution", 3},
            {"label_dim", 3}};
  }
  static Conditioning Given() {
    Conditioning given(at::eye(3).slice(0, 1, 3));  // classes 1 and 2
    given.tensors["text"] = at::tensor({1.0f, 3.0f, 5.0f, 7.0f}).view({2, 2});
    return given;
  }
  at::Tensor Denoise(Denoiser& network, const Conditioning& given) const {
    const c10::InferenceMode no_gradients;
    return network.Denoise(at::ones({2, 2, 3, 3}), at::full({1}, 3.0f), given);
  }
  // Of the first channel's corner.
  std::vector<float> Corners(Denoiser& network, const Conditioning& given) const {
    const at::Tensor corners = Denoise(network, given).select(1, 0).select(1, 0).select(1, 0).contiguous();
    return {corners.data_ptr<float>(), corners.data_ptr<float>() + 2};
  }

  TempFolder folder_;
};

TEST_F(ScriptDenoiserTest, ArgumentsAreMatchedByName) {
  const auto network = MakeDenoiser(Json());
  EXPECT_THAT(Corners(*network, Given()), ElementsAre(2 / 4.f + 10 + 2 + 0.25f, 2 / 4.f + 20 + 6 + 0.25f));
  Conditioning styled = Given();
  styled.tensors["style"] = at::tensor({100.0f, 200.0f}).view({2, 1});
  styled.tensors["of-a-scorer"] = at::ones({2});
  EXPECT_THAT(Corners(*network, styled), ElementsAre(112.75f, 226.75f));
}

TEST_F(ScriptDenoiserTest, AMissingInputIsNamed) {
  const auto network = MakeDenoiser(Json());
  Conditioning given = Given();
  given.tensors.erase("text");
  given.tensors["txt"] = at::ones({2, 2});
  EXPECT_THAT(MessageOf<InputError>([&] { Denoise(*network, given); }),
              AllOf(HasSubstr(file()), HasSubstr("\"text\""), HasSubstr("only txt")));
  Conditioning unlabelled = Given();
  unlabelled.labels = at::Tensor();
  EXPECT_THAT(MessageOf<InputError>([&] { Denoise(*network, unlabelled); }),
              AllOf(HasSubstr("\"labels\""), HasSubstr("label_dim")));
}

TEST_F(ScriptDenoiserTest, AnErrorInTheScriptIsOneLine) {
  const auto network = MakeDenoiser(Json());
  Conditioning given = Given();
  given.tensors["text"] = at::ones({5, 2});
  EXPECT_THAT(MessageOf<InputError>([&] { Denoise(*network, given); }),
              AllOf(HasSubstr(file()), HasSubstr("size of tensor"), Not(HasSubstr("\n"))));
}

TEST_F(ScriptDenoiserTest, TensorsAreThoseOfTheModuleByName) {
  const auto network = MakeDenoiser(Json());
  std::vector<std::string> names;
  for (const auto& [name, tensor] : StateDict(*network)) names.push_back(name);
  EXPECT_THAT(names, ElementsAre("body.scale", "classes", "offset"));
}

TEST_F(ScriptDenoiserTest, WhoWritesTheFlatWeightsWritesTheScript) {
  const auto network = MakeDenoiser(Json());
  const TensorTable table({{"body.scale", DataType::kFloat32, {2, 1, 1}, 0}, {"classes", DataType::kFloat32, {3}, 0}});
  const at::Tensor flat = at::zeros({5});
  BindFlatWeights(*network, table, flat, {{"offset", at::tensor({0.5f})}}, "test.traj");
  EXPECT_THAT(Corners(*network, Given()), ElementsAre(2.5f, 6.5f));
  flat.copy_(at::tensor({8.0f, 1.0f, 3.0f, 4.0f, 5.0f}));
  EXPECT_THAT(Corners(*network, Given()), ElementsAre(8 / 4.f + 4 + 2.5f, 8 / 4.f + 5 + 6.5f));
}

TEST_F(ScriptDenoiserTest, LoadingIsStrictButForBuffersAndFrozenParts) {
  const auto network = MakeDenoiser(Json());
  NamedTensors given = {{"body.scale", at::full({2, 1, 1}, 4.0f)}, {"classes", at::zeros({3})}};
  LoadStateDict(*network, given, "a.safetensors");
  EXPECT_THAT(Corners(*network, Given()), ElementsAre(4 / 4.f + 2 + 0.25f, 4 / 4.f + 6 + 0.25f));
  given.erase("body.scale");
  EXPECT_THAT(MessageOf<InputError>([&] { LoadStateDict(*network, given, "a.safetensors"); }),
              AllOf(HasSubstr("a.safetensors"), HasSubstr("body.scale is missing")));
  nlohmann::json json = Json();
  json["frozen"] = {"body."};
  const auto partly = MakeDenoiser(json);
  LoadStateDict(*partly, given, "a.safetensors");
  EXPECT_THAT(Corners(*partly, Given()), ElementsAre(2 / 4.f + 2 + 0.25f, 2 / 4.f + 6 + 0.25f));
}

TEST_F(ScriptDenoiserTest, ModulesThatCannotBeMergedAreRefused) {
  Module(at::kHalf).save(file());
  EXPECT_THAT(MessageOf<InputError>([&] { MakeDenoiser(Json()); }),
              AllOf(HasSubstr("body.scale"), HasSubstr("F16"), HasSubstr("module.float()")));
  torch::jit::Module bare("__torch__.Bare");
  bare.define("def forward(self, x, sigma):\n    return x\n");
  bare.save(file());
  EXPECT_THAT(MessageOf<InputError>([&] { MakeDenoiser(Json()); }), HasSubstr("no parameters"));
  Module(at::kFloat, "def forward(self, x):\n    return x\n").save(file());
  EXPECT_THAT(MessageOf<InputError>([&] { MakeDenoiser(Json()); }), HasSubstr("has 1 arguments; expected (x, sigma"));
  WriteBytes(file(), "no archive");
  EXPECT_THAT(MessageOf<InputError>([&] { MakeDenoiser(Json()); }), HasSubstr(file()));
}

TEST_F(ScriptDenoiserTest, ImagesMayHaveAnotherShapeButMustBeImages) {
  Module(at::kFloat, "def forward(self, x, sigma):\n    return torch.repeat_interleave(x, 2, 2)\n").save(file());
  EXPECT_EQ(Denoise(*MakeDenoiser(Json()), {}).sizes(), at::IntArrayRef({2, 2, 6, 3}));
  Module(at::kFloat, "def forward(self, x, sigma):\n    return x.sum(1)\n").save(file());
  EXPECT_THAT(MessageOf<InputError>([&] { Denoise(*MakeDenoiser(Json()), {}); }),
              AllOf(HasSubstr("[2, 3, 3]"), HasSubstr("expected floating-point images [2, c, h, w]")));
  Module(at::kFloat, "def forward(self, x, sigma):\n    return (x, sigma)\n").save(file());
  EXPECT_THAT(MessageOf<InputError>([&] { Denoise(*MakeDenoiser(Json()), {}); }), HasSubstr("expected one tensor"));
}

TEST_F(ScriptDenoiserTest, TheJsonNamesTheProcessAndTheFile) {
  EXPECT_EQ(ScriptFileOf(Json()), std::optional<std::filesystem::path>(file()));
  EXPECT_EQ(ScriptFileOf({{"model_type", "SongUNet"}}), std::nullopt);
  nlohmann::json json = Json();
  json["sigma_max"] = 14.0;
  EXPECT_EQ(MakeDenoiser(json)->schedule().InitialScale(), 14.0);
  json["sigma_min"] = 15.0;
  EXPECT_THAT(MessageOf<ConfigError>([&] { MakeDenoiser(json); }), HasSubstr("0 < sigma_min < sigma_max"));
  nlohmann::json linear = Json();
  linear.update({{"process", "discrete"}, {"num_diffusion_timesteps", 100}});
  EXPECT_EQ(MakeDenoiser(linear)->schedule().num_timesteps(), 100);
  linear["proces"] = "edm";
  EXPECT_THAT(MessageOf<ConfigError>([&] { MakeDenoiser(linear); }), HasSubstr("did you mean"));
}

TEST_F(ScriptDenoiserTest, AScorerGivesEveryImageItsScore) {
  const char* const forward =
      "def forward(self, images, prompt):\n"
      "    return images.float().mean([1, 2, 3]) + prompt.sum(1)\n";
  Module(at::kFloat, forward).save(file());
  ImageScorer scorer(file());
  const at::Tensor images = at::tensor({10, 20}, at::kByte).view({2, 1, 1, 1}).expand({2, 3, 4, 4});
  Conditioning given;
  EXPECT_THAT(MessageOf<InputError>([&] { scorer.Scores(images, given); }), HasSubstr("\"prompt\""));
  given.tensors["prompt"] = at::tensor({0.5f, 0.25f}).view({2, 1});
  EXPECT_TRUE(scorer.Scores(images, given).equal(at::tensor({10.5f, 20.25f})));
  Module(at::kFloat, "def forward(self, images):\n    return images.float().mean()\n").save(file());
  EXPECT_THAT(MessageOf<InputError>([&] { ImageScorer(file()).Scores(images, given); }),
              AllOf(HasSubstr("[]"), HasSubstr("2 images")));
}

}  // namespace
}  // namespace lcsc
