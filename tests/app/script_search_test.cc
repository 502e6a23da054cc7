// A network exported from Python, with classes and a text embedding, is packed, searched over and measured.
#include "app/tiny_project.h"
#include "lcsc/io/npz.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr const char* kPython = "/usr/bin/python3";

class ScriptSearchTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder;
    const TinyModels models(folder_->path());
    const at::NoGradGuard no_gradients;
    WriteSafetensors(Path("reference.safetensors"),
                     {{"features", LoadFeatureExtractor(models.extractor_path())->Features(models.RandomImages(90))}});
    const CommandResult exported =
        RunCommand({kPython, LCSC_SOURCE_DIR "/tests/app/export_script_network.py", folder_->path()});
    ASSERT_EQ(exported.exit_code, 0) << exported.err;
    WriteBytes(Path("search.ini"),
               "[evaluation]\ntrajectory = " + Path("net.traj") + "\nextractor = " + models.extractor_path().string() +
                   "\nreference = " + Path("reference.safetensors") +
                   "\nconditioning = " + Path("conditioning.safetensors") + "\nscorer = " + Path("scorer.ts.pt") +
                   "\nnum_samples = 40\nbatch_size = 10\n"
                   "[search]\nepochs = 2\nchildren = 4\nema_rates = 0,0.9\n[run]\nthreads = 1\n");
    const CommandResult packed = RunCommand(Lcsc({"pack", "--checkpoints", Path("step-*.safetensors"), "--network",
                                                  Path("net.json"), "--output", Path("net.traj")}));
    ASSERT_EQ(packed.exit_code, 0) << packed.err;
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::string Path(const std::string& name) { return *folder_ / name; }

  static Arguments Search(const std::string& run, const std::string& objective) {
    return {"search", "--config", Path("search.ini"), "--run", Path(run), "--set", "evaluation.objective=" + objective};
  }

  // The candidates of a search under mpirun that is expected to end well.
  static nlohmann::json Candidates(const std::string& run, const std::string& objective, const Arguments& more = {}) {
    const CommandResult result = RunCommand(MpiLcsc(3, Search(run, objective) + more));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const CommandResult status = RunCommand(Lcsc({"status", Path(run), "--candidates", "--json"}));
    EXPECT_EQ(status.exit_code, 0) << status.err;
    const auto json = nlohmann::json::parse(status.out, nullptr, /*allow_exceptions=*/false);
    return json.is_object() ? json["candidates"] : json;
  }

  // Merges one candidate into a file and measures that.
  static nlohmann::json Evaluate(const std::string& run, const nlohmann::json& candidate, const Arguments& more) {
    const std::string id = std::to_string(candidate["id"].get<std::int64_t>());
    const std::string weights = Path(run + "-" + id + ".safetensors");
    const CommandResult merged =
        RunCommand(Lcsc({"merge", "--run", Path(run), "--candidate", id, "--output", weights}));
    EXPECT_EQ(merged.exit_code, 0) << merged.err;
    return EvaluateWeights(weights, more);
  }
  static nlohmann::json EvaluateWeights(const std::string& weights, const Arguments& more) {
    const CommandResult result =
        RunCommand(Lcsc(Arguments{"evaluate", "--config", Path("search.ini"), "--weights", weights, "--json"} + more));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }

  static void ExpectNear(const nlohmann::json& found, const nlohmann::json& expected) {
    ASSERT_TRUE(found.is_number() && expected.is_number()) << found << " " << expected;
    EXPECT_NEAR(found.get<double>(), expected.get<double>(), 2e-3 * std::abs(expected.get<double>()) + 1e-5);
  }

  static TempFolder* folder_;
};
TempFolder* ScriptSearchTest::folder_ = nullptr;

TEST_F(ScriptSearchTest, TheNetworkComputesWhatItComputesInPython) {
  const CommandResult result =
      RunCommand(Lcsc({"denoise", "--weights", Path("step-50.safetensors"), "--network", Path("net.json"), "--inputs",
                       Path("io.safetensors"), "--output", Path("denoised.safetensors")}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const at::Tensor expected = ReadSafetensors(Path("io.safetensors")).at("expected");
  const at::Tensor found = ReadSafetensors(Path("denoised.safetensors")).at("denoised");
  const double error = ((found - expected).norm() / expected.norm()).item<double>();
  std::printf("relative error against Python: %.1e\n", error);
  EXPECT_LT(error, 1e-5);
}

TEST_F(ScriptSearchTest, ACandidatesScoreIsThatOfItsMergedWeights) {
  const nlohmann::json candidates = Candidates("fid", "fid");
  ASSERT_GE(candidates.size(), 7u);
  const nlohmann::json& first = candidates.front();
  const nlohmann::json& last = candidates.back();
  EXPECT_NE(first["score"], last["score"]);
  ExpectNear(Evaluate("fid", last, {})["fid"], last["score"]);
  ExpectNear(Evaluate("fid", last, {"--metrics", "fid"})["fid"], last["metrics"]["fid"]);
}

TEST_F(ScriptSearchTest, ASearchMinimisesTheWeightedSum) {
  const nlohmann::json candidates =
      Candidates("sum", "fid:0.5,kid:10,inception_score:2", {"--set", "run.group_size=2"});
  ASSERT_FALSE(candidates.empty());
  for (const nlohmann::json& candidate : candidates) {
    const nlohmann::json& metrics = candidate["metrics"];
    const double sum = 0.5 * metrics["fid"].get<double>() + 10 * metrics["kid"].get<double>() -
                       2 * metrics["inception_score"].get<double>();
    EXPECT_NEAR(candidate["score"].get<double>(), sum, 1e-9 * std::abs(sum));
  }
  const nlohmann::json measured = Evaluate("sum", candidates.back(), {"--metrics", "fid,kid,is"});
  for (const char* metric : {"fid", "kid", "inception_score"}) {
    ExpectNear(measured[metric], candidates.back()["metrics"][metric]);
  }
  const CommandResult changed = RunCommand(Lcsc(Search("sum", "kid")));
  EXPECT_EQ(changed.exit_code, 2);
  EXPECT_THAT(changed.err, HasSubstr("evaluation.objective was 'fid:0.5,kid:10,inception_score:2'"));
}

TEST_F(ScriptSearchTest, ASearchMinimisesKid) {
  const nlohmann::json candidates = Candidates("kid", "kid");
  ASSERT_FALSE(candidates.empty());
  EXPECT_EQ(candidates.back()["score"], candidates.back()["metrics"]["kid"]);
  EXPECT_FALSE(candidates.back()["metrics"].contains("fid"));
  const nlohmann::json measured = Evaluate("kid", candidates.back(), {"--set", "evaluation.objective=kid"});
  ExpectNear(measured["objective_value"], candidates.back()["score"]);
}

TEST_F(ScriptSearchTest, AScorersMeanAndItsWinRate) {
  const auto weights = [](const char* rate) {
    const std::string path = Path(std::string("ema-") + rate + ".safetensors");
    EXPECT_EQ(
        RunCommand(Lcsc({"merge", "--trajectory", Path("net.traj"), "--ema-rate", rate, "--output", path})).exit_code,
        0);
    return path;
  };
  const std::string base_scores = Path("base-scores.safetensors"), scores = Path("scores.safetensors");
  EvaluateWeights(weights("0"), {"--metrics", "score", "--scores-output", base_scores});
  const nlohmann::json found = EvaluateWeights(
      weights("0.9"), {"--metrics", "score", "--scores-output", scores, "--baseline-scores", base_scores});
  const at::Tensor ours = ReadSafetensors(scores).at("scores"), base = ReadSafetensors(base_scores).at("scores");
  ASSERT_EQ(ours.sizes(), at::IntArrayRef({40}));
  double wins = 0;
  for (std::int64_t i = 0; i < 40; ++i) {
    const float a = ours[i].item<float>(), b = base[i].item<float>();
    wins += a > b ? 1 : a == b ? 0.5 : 0;
  }
  EXPECT_GT(wins, 0);
  ExpectNear(found["win_rate"], wins / 40);
  ExpectNear(found["score_mean"], ours.mean().item<float>());

  // The same scores from the images themselves.
  const Arguments sample = {"sample",   "--config",        Path("search.ini"), "--weights", Path("ema-0.9.safetensors"),
                            "--output", Path("images.npz")};
  ASSERT_EQ(RunCommand(Lcsc(sample)).exit_code, 0);
  const at::Tensor images = ReadNpz(Path("images.npz"), {"arr_0"}).at("arr_0").to(at::kFloat);
  const at::Tensor text = ReadSafetensors(Path("conditioning.safetensors")).at("text").sum(1);
  const at::Tensor by_hand =
      images.mean({1, 2, 3}) / 255 + text.index_select(0, at::arange(40, at::kLong).remainder(7));
  EXPECT_LT((by_hand - ours).abs().max().item<float>(), 1e-4);

  const CommandResult refused =
      RunCommand(Lcsc({"evaluate", "--config", Path("search.ini"), "--weights", Path("ema-0.9.safetensors"),
                       "--metrics", "score", "--seed", "2", "--baseline-scores", base_scores}));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("base-scores"), HasSubstr("seed"), HasSubstr("same samples")));
}

TEST_F(ScriptSearchTest, AnotherModuleFileOrAMissingInputIsRefused) {
  const std::string original = ReadBytes(Path("net.ts.pt"));
  Candidates("module", "fid");
  ASSERT_EQ(RunCommand({kPython, "-c",
                        "import sys, torch\n"
                        "module = torch.jit.load(sys.argv[1])\n"
                        "module.block.gain.fill_(2)\n"
                        "module.save(sys.argv[1])\n",
                        Path("net.ts.pt")})
                .exit_code,
            0);
  const CommandResult changed = RunCommand(Lcsc(Search("module", "fid")));
  WriteBytes(Path("net.ts.pt"), original);
  EXPECT_EQ(changed.exit_code, 2);
  EXPECT_THAT(changed.err, HasSubstr("digest of the network's module"));

  WriteSafetensors(Path("poor.safetensors"), {{"txt", at::ones({3, 5})}});
  const CommandResult poor = RunCommand(
      MpiLcsc(3, Search("poor", "fid") + Arguments{"--set", "evaluation.conditioning=" + Path("poor.safetensors")}));
  EXPECT_EQ(poor.exit_code, 2);
  EXPECT_THAT(poor.err, AllOf(HasSubstr("net.ts.pt"), HasSubstr("\"text\""), HasSubstr("only txt")));
}

}  // namespace
}  // namespace lcsc
