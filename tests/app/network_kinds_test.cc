// One search, end to end and under mpirun, over checkpoints of every network of the field: the recorded weights with a
// little noise, under the sampler that the network's code base uses.
#include "app/tiny_project.h"

namespace lcsc {
namespace {

struct NetworkKind {
  const char* name;
  const char* weights;  // of tests/data
  std::vector<std::string> sampler;
  int function_evaluations;
};

void PrintTo(const NetworkKind& kind, std::ostream* stream) { *stream << kind.name; }

nlohmann::json ExtractorJson() {
  nlohmann::json json = TinyExtractorJson();
  json.update({{"img_resolution", 16}, {"img_channels", 3}});
  return json;
}

class NetworkKindsTest : public ::testing::TestWithParam<NetworkKind> {
 protected:
  static constexpr int kCheckpoints = 3;

  NetworkKindsTest() {
    WriteCheckpoints();
    at::manual_seed(5);
    const auto extractor = MakeFeatureExtractor(ExtractorJson());
    WriteSafetensors(Path("extractor.safetensors"), StateDict(*extractor), {{"config", ExtractorJson().dump()}});
    const at::NoGradGuard no_gradients;
    FeatureStatistics statistics(6);
    statistics.Add(extractor->Features(at::randint(0, 256, {100, 3, 16, 16}, at::kLong).to(at::kByte)));
    WriteReference(Path("reference.npz"), {GaussianOf(statistics), ""});
    std::string ini = "[evaluation]\ntrajectory = " + Path("net.traj") +
                      "\nextractor = " + Path("extractor.safetensors") + "\nreference = " + Path("reference.npz") +
                      "\nnum_samples = 24\nbatch_size = 6\n";
    for (const std::string& line : GetParam().sampler) ini += line + "\n";
    ini += "[search]\nepochs = 1\nchildren = 3\nema_rates = 0,0.9\n[run]\nthreads = 1\n";
    WriteBytes(Path("search.ini"), ini);
  }

  void WriteCheckpoints() const {
    const auto path = std::filesystem::path(LCSC_SOURCE_DIR) / "tests/data" / GetParam().weights;
    const SafetensorsFile file(path);
    at::manual_seed(7);
    for (int i = 1; i <= kCheckpoints; ++i) {
      NamedTensors weights = file.ReadAll();
      for (auto& [name, tensor] : weights) {
        if (tensor.is_floating_point()) tensor += 0.02 * at::randn_like(tensor);
      }
      WriteSafetensors(Path("step-" + std::to_string(i) + ".safetensors"), weights,
                       {{"config", file.metadata().at("config")}});
    }
  }

  std::string Path(const std::string& name) const { return folder_ / name; }

  // What the command prints as JSON, or the exit code's failure.
  static nlohmann::json Run(const Arguments& command) {
    const CommandResult result = RunCommand(command);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }

  TempFolder folder_;
};

TEST_P(NetworkKindsTest, IsSearchedAndItsBestScoreIsThatOfTheMergedWeights) {
  Run(Lcsc({"pack", "--checkpoints", Path("step-*.safetensors"), "--output", Path("net.traj"), "--json"}));
  const nlohmann::json summary =
      Run(MpiLcsc(3, {"search", "--config", Path("search.ini"), "--run", Path("run"), "--json"}));
  ASSERT_TRUE(summary.is_object());
  const nlohmann::json status = Run(Lcsc({"status", Path("run"), "--candidates", "--json"}));
  ASSERT_GE(status["candidates"].size(), 5u);
  for (const nlohmann::json& candidate : status["candidates"]) {
    EXPECT_TRUE(candidate["score"].is_number()) << candidate;
  }
  EXPECT_NE(status["candidates"][0]["score"], status["candidates"].back()["score"]);

  ASSERT_EQ(RunCommand(Lcsc({"merge", "--run", Path("run"), "--output", Path("best.safetensors")})).exit_code, 0);
  const nlohmann::json best =
      Run(Lcsc({"evaluate", "--config", Path("search.ini"), "--weights", Path("best.safetensors"), "--json"}));
  const double expected = summary["best_score"].get<double>();
  EXPECT_NEAR(best["fid"].get<double>(), expected, 2e-3 * expected);
  EXPECT_EQ(best["function_evaluations"], GetParam().function_evaluations);
}

INSTANTIATE_TEST_SUITE_P(
    Field, NetworkKindsTest,
    ::testing::Values(
        NetworkKind{"NcsnppConsistency", "edm_ncsnpp.weights.safetensors", {"sampler = consistency"}, 1},
        NetworkKind{"DdpmppEdmHeun", "edm_ddpmpp.weights.safetensors", {"sampler = edm-heun", "steps = 3"}, 5},
        NetworkKind{
            "DhariwalKarrasHeun", "edm_dhariwal.weights.safetensors", {"sampler = karras-heun", "steps = 3"}, 5},
        NetworkKind{"AdmTwoStepConsistency",
                    "cm_adm.weights.safetensors",
                    {"sampler = consistency", "consistency_sigmas = 1.526"},
                    2},
        NetworkKind{
            "DdpmDpmSolver", "ddpm_unet.weights.safetensors", {"sampler = dpm-solver", "steps = 5", "order = 3"}, 5},
        NetworkKind{"ImprovedDiffusionDdim", "iddpm_unet.weights.safetensors", {"sampler = ddim", "steps = 4"}, 4}),
    [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace lcsc
