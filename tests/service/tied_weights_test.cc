// Trajectories of a TorchScript network that has one tensor under two names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>
#include <torch/csrc/jit/api/module.h>

#include "lcsc/base/error.h"
#include "lcsc/service/candidate_evaluator.h"
#include "lcsc/store/packer.h"
#include "service/tiny_models.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class TiedWeightsTest : public ::testing::Test {
 protected:
  TiedWeightsTest() : models_(folder_ / "models"), options_(models_.Options()) {
    torch::jit::Module module("__torch__.Net");
    const at::Tensor weight = at::ones({8, 8});
    module.register_parameter("down", weight, /*is_buffer=*/false);
    module.register_parameter("up", weight, /*is_buffer=*/false);
    module.define("def forward(self, x, sigma):\n    return torch.tanh(x.matmul(self.down).matmul(self.up.t()))\n");
    module.save(folder_ / "net.ts.pt");
    json_ = {
        {"model_type", "TorchScript"}, {"module", folder_ / "net.ts.pt"}, {"img_channels", 1}, {"img_resolution", 8}};
    options_.trajectory = folder_ / "net.traj";
  }

  // Two checkpoints of the same weights, of which the second is given with `shift` under the name "up".
  void PackCheckpoints(double shift) const {
    at::manual_seed(4);
    for (const int step : {1, 2}) {
      const at::Tensor weight = at::randn({8, 8});
      WriteSafetensors(folder_ / fmt::format("c{}.safetensors", step),
                       {{"down", weight}, {"up", weight + (step == 1 ? shift : 0)}}, {{"config", json_.dump()}});
    }
    PackOptions pack;
    pack.checkpoints = folder_ / "c*.safetensors";
    pack.output = options_.trajectory;
    Pack(pack);
  }

  TempFolder folder_;
  LocalCollective alone_;
  TinyModels models_;
  EvaluationOptions options_;
  nlohmann::json json_;
};

TEST_F(TiedWeightsTest, AreSearchedOverWhenTheyAgree) {
  PackCheckpoints(0);
  Candidate last;
  last.coefficients = {0, 1};
  const Outcome outcome = CandidateEvaluator(options_, alone_, {}).Evaluate(last);
  ASSERT_TRUE(outcome.score.has_value()) << outcome.failure;
  const auto network = LoadDenoiser(folder_ / "c2.safetensors");
  EXPECT_NEAR(*outcome.score, *Scorer(options_, alone_).ScoreNetwork(*network).score, 1e-3 * *outcome.score);
}

TEST_F(TiedWeightsTest, AreRefusedBeforeTheSearchWhenOneCheckpointsDiffer) {
  PackCheckpoints(0.5);
  EXPECT_THAT(MessageOf<InputError>([&] { CandidateEvaluator(options_, alone_, {}); }),
              AllOf(HasSubstr("net.traj"), HasSubstr("down and up differ"), HasSubstr("same memory")));
}

}  // namespace
}  // namespace lcsc
