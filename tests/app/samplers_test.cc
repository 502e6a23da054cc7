// Samplers by name, as a user asks for them: of a network whose time is the noise level, and of a discrete process.
#include "app/tiny_project.h"

namespace lcsc {
namespace {

using ::testing::HasSubstr;

// Two checkpoints of ddim's network with random weights, packed.
class SamplersTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    project_ = new TinyProject;
    const nlohmann::json network = {{"ch", 32},
                                    {"out_ch", 1},
                                    {"in_channels", 1},
                                    {"image_size", 8},
                                    {"ch_mult", {1}},
                                    {"num_res_blocks", 1},
                                    {"attn_resolutions", nlohmann::json::array()},
                                    {"num_diffusion_timesteps", 100}};
    for (int i = 0; i < 2; ++i) {
      at::manual_seed(static_cast<std::uint64_t>(i));
      const std::string step = std::to_string(i + 1);
      WriteSafetensors(Path("ddpm-" + step + ".safetensors"), StateDict(*MakeDenoiser(network)),
                       {{"config", network.dump()}, {"step", step}});
    }
    const CommandResult packed =
        RunCommand(Lcsc({"pack", "--checkpoints", Path("ddpm-*.safetensors"), "--output", Path("ddpm.traj")}));
    ASSERT_EQ(packed.exit_code, 0) << packed.err;
    project_->WriteConfig("ddpm.ini", "ddpm.traj");
  }
  static void TearDownTestSuite() { delete project_; }

  static std::string Path(const std::string& name) { return project_->Path(name); }

  static CommandResult Evaluate(const std::string& weights, const Arguments& sampler) {
    return RunCommand(Lcsc(
        Arguments{"evaluate", "--config", Path("search.ini"), "--weights", weights, "--num-samples", "20", "--json"} +
        sampler));
  }
  static int FunctionEvaluations(const std::string& weights, const Arguments& sampler) {
    const CommandResult result = Evaluate(weights, sampler);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    if (result.exit_code != 0) return -1;
    const auto json = nlohmann::json::parse(result.out);
    EXPECT_TRUE(json["fid"].is_number());
    return json["function_evaluations"].get<int>();
  }

  static TinyProject* project_;
};
TinyProject* SamplersTest::project_ = nullptr;

TEST_F(SamplersTest, OfANetworkWhoseTimeIsTheNoiseLevel) {
  const std::string weights = project_->CheckpointPath(0);
  EXPECT_EQ(FunctionEvaluations(weights, {"--ts", "0,17,39", "--steps", "40"}), 2);
  EXPECT_EQ(FunctionEvaluations(weights, {"--sampler", "karras-euler", "--steps", "3"}), 3);
  EXPECT_EQ(FunctionEvaluations(weights, {"--sampler", "karras-ancestral", "--steps", "3"}), 3);
  EXPECT_EQ(FunctionEvaluations(weights, {"--sampler", "karras-heun", "--steps", "3", "--s-churn", "1"}), 5);
  EXPECT_EQ(FunctionEvaluations(weights, {"--sampler", "dpm-solver++", "--method", "multistep", "--order", "2",
                                          "--skip", "logSNR", "--steps", "5"}),
            5);
  const CommandResult refused = Evaluate(weights, {"--sampler", "ddim"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("sampler ddim: expected a network of a discrete process"));
}

TEST_F(SamplersTest, OfADiscreteProcess) {
  const std::string weights = Path("ddpm-1.safetensors");
  EXPECT_EQ(FunctionEvaluations(weights, {"--sampler", "ddim", "--steps", "7", "--eta", "1"}), 8);
  EXPECT_EQ(FunctionEvaluations(weights, {"--sampler", "ddim", "--steps", "4", "--skip", "time_quadratic"}), 4);
  EXPECT_EQ(FunctionEvaluations(weights, {"--sampler", "dpm-solver", "--steps", "6", "--denoise-to-zero", "on"}), 7);
}

TEST_F(SamplersTest, ASearchOfADiscreteProcessGivesTheSameScoresUnderMpirun) {
  const Arguments dpm = {"--set", "evaluation.sampler=dpm-solver", "--set", "evaluation.steps=4", "--json"};
  const CommandResult alone = RunCommand(Lcsc(project_->Search("alone", dpm, "ddpm.ini")));
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  const auto json = nlohmann::json::parse(alone.out);
  EXPECT_EQ(json["sampler"], "dpm-solver");
  EXPECT_EQ(json["function_evaluations"], 4);
  const auto expected = project_->Status("alone")["candidates"];
  ExpectSameSearch(project_->CandidatesOf(MpiLcsc(3, project_->Search("three", dpm, "ddpm.ini")), "three"), expected);
}

TEST_F(SamplersTest, ASamplerThatDoesNotFitIsRefusedBeforeTheSearch) {
  const CommandResult refused = RunCommand(MpiLcsc(
      3,
      project_->Search("refused", {"--set", "evaluation.sampler=ddim", "--set", "evaluation.steps=101"}, "ddpm.ini")));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("expected steps from 1 to the network's 100, found 101"));
  EXPECT_FALSE(std::filesystem::exists(Path("refused")));
}

}  // namespace
}  // namespace lcsc
