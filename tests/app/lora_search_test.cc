// A search over LoRA checkpoints of a small network: pack, search under mpirun, merge in every form.
#include "app/tiny_project.h"

namespace lcsc {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kCheckpoints = 4;
constexpr std::int64_t kRank = 3;
constexpr double kAlpha = 6;

// kohya's names without the "model." that the network's own names begin with.
std::string KohyaName(const std::string& target, const std::string& end) {
  constexpr std::string_view kModel = "model.", kWeight = ".weight";
  std::string module = target.substr(kModel.size(), target.size() - kModel.size() - kWeight.size());
  std::ranges::replace(module, '.', '_');
  return "lora_unet_" + module + end;
}

class LoraSearchTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder;
    models_ = new TinyModels(folder_->path() / "models");
    base_ = new NamedTensors(models_->Weights(7));
    models_->WriteCheckpoint("base", *base_, 1);
    factors_ = new std::vector<NamedTensors>;
    for (int i = 0; i < kCheckpoints; ++i) WriteLora(i);
    WriteBytes(Path("lora.ini"), "[evaluation]\ntrajectory = " + Path("lora.traj") +
                                     "\nextractor = " + models_->extractor_path().string() +
                                     "\nreference = " + models_->reference_path().string() +
                                     "\nnum_samples = 60\nbatch_size = 16\n"
                                     "[search]\nepochs = 2\nchildren = 4\nema_rates = 0,0.9,0.95\n"
                                     "[run]\nthreads = 1\n");
    Must({"pack", "--checkpoints", Path("lora-*.safetensors"), "--base-model", BasePath(), "--output",
          Path("lora.traj"), "--storage", "bf16"});
    Must(Search("alone"));
  }
  static void TearDownTestSuite() {
    delete factors_;
    delete base_;
    delete models_;
    delete folder_;
  }

  static std::string Path(const std::string& name) { return *folder_ / name; }
  static std::string BasePath() { return models_->folder() / "base.safetensors"; }
  static Arguments Search(const std::string& run, const Arguments& more = {}) {
    return Arguments{"search", "--config", Path("lora.ini"), "--run", Path(run)} + more;
  }
  static CommandResult Must(const Arguments& arguments) {
    CommandResult result = RunCommand(Lcsc(arguments));
    if (result.exit_code != 0) throw std::runtime_error(arguments[0] + ": " + result.err);
    return result;
  }
  static json JsonOf(const Arguments& arguments) { return json::parse(Must(arguments + Arguments{"--json"}).out); }
  static json Candidates(const std::string& run) { return JsonOf({"status", Path(run), "--candidates"})["candidates"]; }
  static double ScoreOf(const std::string& weights) {
    return JsonOf({"evaluate", "--weights", weights, "--extractor", models_->extractor_path(), "--reference",
                   models_->reference_path(), "--num-samples", "60", "--batch-size", "16", "--set",
                   "run.threads=1"})["fid"];
  }

  // W_0 + sum_i a_i (alpha / r) B_i A_i of all targets, by a loop over the checkpoints, with the factors as they come
  // back from bf16 differences.
  static NamedTensors MergedByHand(const std::vector<double>& coefficients) {
    NamedTensors merged;
    for (const auto& [name, tensor] : *base_) merged[name] = tensor.to(at::kDouble);
    for (int i = 0; i < kCheckpoints; ++i) {
      for (const std::string& target : Targets()) {
        const at::Tensor a = Stored(i, KohyaName(target, ".lora_down.weight")).flatten(1);
        const at::Tensor b = Stored(i, KohyaName(target, ".lora_up.weight")).flatten(1);
        merged[target] += coefficients[static_cast<std::size_t>(i)] * (kAlpha / kRank) *
                          at::matmul(b.to(at::kDouble), a.to(at::kDouble)).view_as(merged[target]);
      }
    }
    for (auto& [name, tensor] : merged) tensor = tensor.to(base_->at(name).scalar_type());
    return merged;
  }

  static TempFolder* folder_;
  static TinyModels* models_;
  static NamedTensors* base_;
  static std::vector<NamedTensors>* factors_;

 private:
  // The linear layers and the convolutions, 1x1 and 3x3.
  static std::vector<std::string> Targets() {
    std::vector<std::string> targets;
    for (const auto& [name, tensor] : *base_) {
      if (name.ends_with(".weight") && tensor.dim() >= 2) targets.push_back(name);
    }
    return targets;
  }
  static at::Tensor Stored(int i, const std::string& name) {
    const at::Tensor first = factors_->front().at(name);
    return first + (factors_->at(static_cast<std::size_t>(i)).at(name) - first).to(at::kBFloat16).to(at::kFloat);
  }
  static void WriteLora(int i) {
    at::manual_seed(static_cast<std::uint64_t>(50 + i));
    NamedTensors factors;
    for (const std::string& target : Targets()) {
      std::vector<std::int64_t> down = base_->at(target).sizes().vec(), up(down.size(), 1);
      up[0] = down[0];
      down[0] = up[1] = kRank;
      factors[KohyaName(target, ".lora_down.weight")] = 0.1 * at::randn(down);
      factors[KohyaName(target, ".lora_up.weight")] = 0.1 * at::randn(up);
      factors[KohyaName(target, ".alpha")] = at::full({}, kAlpha);
    }
    WriteSafetensors(Path("lora-" + std::to_string(10 * (i + 1)) + ".safetensors"), factors);
    factors_->push_back(std::move(factors));
  }
};
TempFolder* LoraSearchTest::folder_ = nullptr;
TinyModels* LoraSearchTest::models_ = nullptr;
NamedTensors* LoraSearchTest::base_ = nullptr;
std::vector<NamedTensors>* LoraSearchTest::factors_ = nullptr;

TEST_F(LoraSearchTest, RanksThatShareTheLayersGiveTheSameSearch) {
  const json alone = Candidates("alone");
  EXPECT_EQ(alone.size(), 11u);
  for (const auto& [ranks, group_size] : {std::pair{3, "2"}, {5, "4"}}) {
    const std::string run = "ranks-" + std::to_string(ranks);
    const CommandResult result =
        RunCommand(MpiLcsc(ranks, Search(run, {"--set", "run.group_size=" + std::string(group_size)})));
    ASSERT_EQ(result.exit_code, 0) << result.err;
    ExpectSameSearch(Candidates(run), alone);
  }
}

TEST_F(LoraSearchTest, CandidatesScoreAsTheirExplicitlyMergedWeights) {
  const json candidates = Candidates("alone");
  for (const std::size_t place : {std::size_t{1}, candidates.size() - 1}) {
    const double score = candidates[place]["score"];
    const NamedTensors by_hand = MergedByHand(candidates[place]["coefficients"]);
    const double expected = ScoreOf(models_->WriteCheckpoint("by-hand", by_hand, 1));
    std::printf("candidate %d: score %.9g, of the explicitly merged weights %.9g\n", static_cast<int>(place), score,
                expected);
    EXPECT_NEAR(score, expected, 1e-5 * expected);
    Must({"merge", "--run", Path("alone"), "--candidate", candidates[place]["id"].dump(), "--output",
          Path("full.safetensors")});
    EXPECT_NEAR(ScoreOf(Path("full.safetensors")), score, 1e-6 * score);
    const NamedTensors full = ReadSafetensors(Path("full.safetensors"));
    ASSERT_EQ(full.size(), base_->size());
    for (const auto& [name, tensor] : by_hand) EXPECT_TRUE(at::allclose(full.at(name), tensor, 1e-5, 1e-6)) << name;
  }
  EXPECT_NE(candidates[0]["score"], candidates[1]["score"]);
}

TEST_F(LoraSearchTest, MergedFactorsAreACheckpointOfTheirOwn) {
  const Arguments merge = {"merge", "--run", Path("alone"), "--as", "lora"};
  Must(merge + Arguments{"--output", Path("exact.safetensors")});
  Must({"merge", "--run", Path("alone"), "--output", Path("best.safetensors")});
  const SafetensorsFile exact(Path("exact.safetensors"));
  const json facts = json::parse(exact.metadata().at("lcsc"));
  EXPECT_EQ(facts["relative_error"], 0);
  EXPECT_LE(facts["lora_rank"], kRank * kCheckpoints);
  // Packed twice, it merges to the same weights as the run's best.
  for (const char* step : {"again-1", "again-2"}) {
    std::filesystem::copy_file(Path("exact.safetensors"), Path(std::string(step) + ".safetensors"));
  }
  Must({"pack", "--checkpoints", Path("again-*.safetensors"), "--base-model", BasePath(), "--output",
        Path("again.traj")});
  Must({"merge", "--trajectory", Path("again.traj"), "--ema-rate", "0", "--output", Path("again.safetensors")});
  const NamedTensors best = ReadSafetensors(Path("best.safetensors"));
  for (const auto& [name, tensor] : ReadSafetensors(Path("again.safetensors"))) {
    EXPECT_TRUE(at::allclose(tensor, best.at(name), 1e-5, 1e-6)) << name;
  }
}

TEST_F(LoraSearchTest, CutFactorsStateTheirError) {
  const CommandResult cut =
      Must({"merge", "--run", Path("alone"), "--as", "lora", "--rank", "2", "--output", Path("cut.safetensors")});
  EXPECT_THAT(cut.out, AllOf(HasSubstr("error of the update"), HasSubstr("rank 2")));
  const json facts = json::parse(SafetensorsFile(Path("cut.safetensors")).metadata().at("lcsc"));
  EXPECT_GT(facts["relative_error"], 0);
  EXPECT_LT(facts["relative_error"], 1);
  EXPECT_GE(facts["worst_relative_error"], facts["relative_error"]);
}

TEST_F(LoraSearchTest, BaselinesAndInspectKnowLora) {
  const CommandResult baselines = RunCommand(MpiLcsc(3, {"baselines", Path("alone"), "--held-out-samples", "40",
                                                         "--held-out-seed", "5", "--grids", Path("grids"), "--json"}));
  ASSERT_EQ(baselines.exit_code, 0) << baselines.err;
  EXPECT_EQ(json::parse(baselines.out)["rows"].size(), 7u);
  EXPECT_TRUE(std::filesystem::exists(Path("grids") + "/LCSC.png"));
  const json trajectory = JsonOf({"inspect", Path("lora.traj"), "--verify"});
  EXPECT_EQ(trajectory["lora_base_model"], BasePath());
  EXPECT_EQ(trajectory["lora_layers"][0]["rank"], kRank);
  EXPECT_THAT(Must({"inspect", Path("lora.traj")}).out, HasSubstr("lora_layers:"));
}

TEST_F(LoraSearchTest, WhatDoesNotFitIsRefusedInWords) {
  const auto refusal = [](const Arguments& arguments) {
    const CommandResult result = RunCommand(Lcsc(arguments));
    EXPECT_EQ(result.exit_code, 2);
    return result.err;
  };
  EXPECT_THAT(refusal({"pack", "--checkpoints", Path("lora-*.safetensors"), "--output", Path("no.traj")}),
              AllOf(HasSubstr("lora-10.safetensors"), HasSubstr("--base-model")));
  EXPECT_FALSE(std::filesystem::exists(Path("no.traj")));
  for (const int step : {1, 2}) {
    models_->WriteCheckpoint("full-" + std::to_string(step), *base_, step);
  }
  Must({"pack", "--checkpoints", models_->folder() / "full-*.safetensors", "--output", Path("full.traj")});
  EXPECT_THAT(refusal({"merge", "--trajectory", Path("full.traj"), "--ema-rate", "0", "--as", "lora", "--output",
                       Path("no.safetensors")}),
              AllOf(HasSubstr("--as lora"), HasSubstr("full weights")));
  EXPECT_THAT(refusal({"merge", "--trajectory", Path("full.traj"), "--ema-rate", "0", "--rank", "2", "--output",
                       Path("no.safetensors")}),
              HasSubstr("--as lora"));
  NamedTensors changed = *base_;
  changed.begin()->second = changed.begin()->second + 1;
  std::filesystem::rename(BasePath(), Path("kept.safetensors"));
  models_->WriteCheckpoint("base", changed, 1);
  EXPECT_THAT(refusal(Search("changed")), AllOf(HasSubstr("base.safetensors"), HasSubstr("digest")));
  std::filesystem::rename(Path("kept.safetensors"), BasePath());
}

}  // namespace
}  // namespace lcsc
