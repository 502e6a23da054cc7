// Every command in the order of a user's first day: train, pack, reference, search, and what comes after.
#include <cmath>

#include "app/run_command.h"
#include "lcsc/io/image_set.h"
#include "lcsc/io/npz.h"
#include "lcsc/search/coefficients.h"
#include "lcsc/state/run_directory.h"
#include "service/tiny_models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

constexpr const char* kDigits = LCSC_SOURCE_DIR "/configs/data/digits.csv.gz";

class CommandsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder;
    WriteBytes(Path("network.json"), TinyNetworkJson().dump());
    WriteBytes(Path("search.ini"), "[evaluation]\ntrajectory = " + Path("digits.traj") + "\nextractor = " +
                                       Path("train/extractor.safetensors") + "\nreference = " + Path("reference.npz") +
                                       "\nnum_samples = 120\nbatch_size = 30\n"
                                       "[search]\nepochs = 2\nchildren = 3\n[run]\nthreads = 1\n");
    Must({"train", "--images", kDigits, "--network", Path("network.json"), "--output", Path("train"), "--set",
          "train.threads=1", "--set", "train.classifier_iterations=4", "--set", "train.diffusion_iterations=4", "--set",
          "train.tuning_iterations=8", "--set", "train.checkpoints=4", "--set", "train.checkpoint_interval=2"});
    Must({"pack", "--checkpoints", Path("train/checkpoints/*.safetensors"), "--output", Path("digits.traj")});
    Must({"reference", "--images", kDigits, "--extractor", Path("train/extractor.safetensors"), "--output",
          Path("reference.npz")});
    search_ = new Json(JsonOf({"search", "--config", Path("search.ini"), "--run", Path("run"), "--json"}));
  }
  static void TearDownTestSuite() {
    delete folder_;
    delete search_;
  }

  static std::string Path(const std::string& name) { return *folder_ / name; }

  static CommandResult Must(const Arguments& arguments) {
    CommandResult result = RunCommand(Lcsc(arguments));
    EXPECT_EQ(result.exit_code, 0) << arguments[0] << ": " << result.err;
    return result;
  }

  static Json ParseOne(const CommandResult& result) {
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }
  static Json JsonOf(const Arguments& arguments) { return ParseOne(RunCommand(Lcsc(arguments))); }

  static void ExpectKeys(const Json& json, const std::vector<std::string>& keys) {
    ASSERT_TRUE(json.is_object());
    for (const std::string& key : keys) EXPECT_TRUE(json.contains(key)) << key << " in " << json.dump();
  }

  static Arguments Evaluate(const Arguments& what, const std::string& num_samples = "120") {
    return Arguments{"evaluate",    "--extractor",         Path("train/extractor.safetensors"),
                     "--reference", Path("reference.npz"), "--num-samples",
                     num_samples,   "--batch-size",        "30",
                     "--set",       "run.threads=1",       "--json"} +
           what;
  }

  static NamedTensors LastCheckpoint() { return ReadSafetensors(Path("train/checkpoints/step-000008.safetensors")); }

  static TempFolder* folder_;
  static Json* search_;  // what `lcsc search --json` said
};
TempFolder* CommandsTest::folder_ = nullptr;
Json* CommandsTest::search_ = nullptr;

TEST_F(CommandsTest, SearchSaysWhatScriptsNeed) {
  ExpectKeys(*search_, {"best_score", "best_candidate", "best_ema_score", "evaluations", "seconds", "run"});
  EXPECT_EQ((*search_)["evaluations"], 13 + 2 * 3);
  EXPECT_EQ((*search_)["run"], Path("run"));
  EXPECT_LE((*search_)["best_score"], (*search_)["best_ema_score"]);
}

TEST_F(CommandsTest, StatusAgreesWithTheSearch) {
  const Json status = JsonOf({"status", Path("run"), "--candidates", "--json"});
  ExpectKeys(status, {"state", "evaluations", "best_score", "candidates"});
  EXPECT_EQ(status["state"], "done");
  EXPECT_EQ(status["evaluations"], (*search_)["evaluations"]);
  EXPECT_EQ(status["best_score"], (*search_)["best_score"]);
  double best = INFINITY;
  for (const Json& candidate : status["candidates"]) {
    ExpectKeys(candidate, {"id", "score", "coefficients"});
    EXPECT_EQ(candidate["coefficients"].size(), 4u);
    best = std::min(best, candidate["score"].get<double>());
  }
  EXPECT_EQ(best, (*search_)["best_score"].get<double>());
  EXPECT_THAT(Must({"status", Path("run"), "--candidates"}).out, HasSubstr("best EMA"));
}

TEST_F(CommandsTest, TheConfigOfARunRepeatsTheSearch) {
  const Json again = JsonOf({"search", "--config", Path("run/config.ini"), "--run", Path("again"), "--json"});
  EXPECT_EQ(again["best_score"], (*search_)["best_score"]);
}

TEST_F(CommandsTest, SearchingAgainSearchesNothing) {
  const std::string population = ReadBytes(Path("run/population.h5"));
  const auto again = [](const Arguments& more) {
    return Arguments{"search", "--config", Path("search.ini"), "--run", Path("run")} + more;
  };
  const Json result = JsonOf(again({"--json"}));
  for (const auto& [key, value] : search_->items()) {
    const bool is_time = key == "seconds" || key == "stage_share" || key == "utilisation";
    if (is_time) continue;
    EXPECT_EQ(result[key], value) << key;
  }
  for (const Arguments& command : {Lcsc(again({})), MpiLcsc(2, again({})), Lcsc(again({"--set", "search.epochs=1"}))}) {
    const CommandResult done = RunCommand(command);
    EXPECT_EQ(done.exit_code, 0) << done.err;
    EXPECT_THAT(done.err, AllOf(HasSubstr("already finished: nothing to do"), Not(HasSubstr("resuming"))));
    EXPECT_THAT(done.out, HasSubstr("best EMA"));
  }
  EXPECT_EQ(ReadBytes(Path("run/population.h5")), population);
}

TEST_F(CommandsTest, ASearchThatWasKilledAtItsVeryEndIsDone) {
  std::filesystem::copy(Path("run"), Path("killed"));
  {
    RunDirectory directory = RunDirectory::Create(Path("killed"));
    PopulationSnapshot snapshot = *directory.ReadSnapshot();
    snapshot.state = RunState::kRunning;
    directory.PublishSnapshot(snapshot);
  }
  EXPECT_EQ(JsonOf({"status", Path("killed"), "--json"})["state"], "running");
  const Json result = JsonOf({"search", "--config", Path("search.ini"), "--run", Path("killed"), "--json"});
  EXPECT_EQ(result["best_score"], (*search_)["best_score"]);
  const Json status = JsonOf({"status", Path("killed"), "--json"});
  EXPECT_EQ(status["state"], "done");
  EXPECT_EQ(status["evaluations"], status["planned_evaluations"]);
}

TEST_F(CommandsTest, TheLauncherRefusesWhatItDoesNotKnow) {
  ::setenv("LCSC", LCSC_BINARY, /*overwrite=*/1);
  const CommandResult typo = RunCommand({LCSC_SOURCE_DIR "/launch/run", "--worker", "2", "status", Path("run")});
  EXPECT_EQ(typo.exit_code, 2);
  EXPECT_THAT(typo.err, AllOf(HasSubstr("'--worker'"), HasSubstr("--workers N")));
}

TEST_F(CommandsTest, InspectKnowsEveryFile) {
  const Json trajectory = JsonOf({"inspect", Path("digits.traj"), "--verify", "--json"});
  EXPECT_EQ(trajectory["steps"], Json({2, 4, 6, 8}));
  for (const char* file : {"train/extractor.safetensors", "train/checkpoints/step-000008.safetensors", "reference.npz",
                           "run", "run/population.h5"}) {
    ExpectKeys(JsonOf({"inspect", Path(file), "--json"}), {"kind", "path"});
    EXPECT_FALSE(Must({"inspect", Path(file)}).out.empty());
  }
}

TEST_F(CommandsTest, PackingAgainPacksNothing) {
  const Json again = JsonOf(
      {"pack", "--checkpoints", Path("train/checkpoints/*.safetensors"), "--output", Path("digits.traj"), "--json"});
  EXPECT_EQ(again["packed"], 0);
  EXPECT_EQ(again["skipped"], 4);
}

TEST_F(CommandsTest, TrainingAgainTrainsNothing) {
  const Json again = JsonOf({"train",
                             "--images",
                             kDigits,
                             "--network",
                             Path("network.json"),
                             "--output",
                             Path("train"),
                             "--set",
                             "train.threads=1",
                             "--set",
                             "train.classifier_iterations=4",
                             "--set",
                             "train.diffusion_iterations=4",
                             "--set",
                             "train.tuning_iterations=8",
                             "--set",
                             "train.checkpoints=4",
                             "--set",
                             "train.checkpoint_interval=2",
                             "--json"});
  ExpectKeys(again, {"interrupted", "parameters", "classifier_accuracy", "checkpoints", "stages"});
  for (const Json& stage : again["stages"]) EXPECT_EQ(stage["iterations"], 0) << stage;
}

// A difference to the first checkpoint is exact where the weight stays within a factor of two of it; elsewhere storing
// it and adding it again round once each.
TEST_F(CommandsTest, AnEmaOfRateZeroIsTheLastCheckpoint) {
  Must({"merge", "--trajectory", Path("digits.traj"), "--ema-rate", "0", "--output", Path("last.safetensors")});
  const NamedTensors first = ReadSafetensors(Path("train/checkpoints/step-000002.safetensors"));
  const NamedTensors last = LastCheckpoint(), merged = ReadSafetensors(Path("last.safetensors"));
  ASSERT_EQ(merged.size(), last.size());
  for (const auto& [name, expected] : last) {
    const at::Tensor& start = first.at(name);
    const at::Tensor near = (expected >= start / 2)
                                .logical_and(expected <= start * 2)
                                .logical_or((expected <= start / 2).logical_and(expected >= start * 2));
    EXPECT_TRUE(at::equal(merged.at(name).masked_select(near), expected.masked_select(near))) << name;
    const at::Tensor rounding = (expected.abs() + (expected - start).abs()) * std::ldexp(1.0f, -24);
    EXPECT_TRUE(((merged.at(name) - expected).abs() <= rounding).all().item<bool>()) << name;
  }
}

TEST_F(CommandsTest, MergedWeightsAreTheCombinationOfTheCheckpoints) {
  WriteBytes(Path("a.csv"), "# a_1..a_4\n-0.5, 0.25\n0.75,0.5\n");
  Must({"merge", "--trajectory", Path("digits.traj"), "--coefficients", Path("a.csv"), "--output",
        Path("a.safetensors")});
  const std::vector<double> coefficients = {-0.5, 0.25, 0.75, 0.5};
  const NamedTensors merged = ReadSafetensors(Path("a.safetensors"));
  std::vector<NamedTensors> checkpoints;
  for (const char* step : {"2", "4", "6", "8"}) {
    checkpoints.push_back(ReadSafetensors(Path("train/checkpoints/step-00000" + std::string(step) + ".safetensors")));
  }
  for (const auto& [name, found] : merged) {
    at::Tensor expected = at::zeros_like(found, at::kDouble);
    for (std::size_t i = 0; i < 4; ++i) expected += coefficients[i] * checkpoints[i].at(name).to(at::kDouble);
    EXPECT_TRUE(at::allclose(found.to(at::kDouble), expected, 1e-5, 1e-6)) << name;
  }
}

TEST_F(CommandsTest, TheBestMergedWeightsHaveTheBestScore) {
  Must({"merge", "--run", Path("run"), "--output", Path("best.safetensors")});
  const Json evaluated = JsonOf(Evaluate({"--weights", Path("best.safetensors")}));
  ExpectKeys(evaluated, {"fid", "num_samples", "seed", "protocol", "reference"});
  const double best = (*search_)["best_score"];
  EXPECT_NEAR(evaluated["fid"].get<double>(), best, 1e-6 * best);
  EXPECT_EQ(evaluated["num_samples"], 120);
  EXPECT_EQ(evaluated["seed"], 1);
  const Json other_seed = JsonOf(Evaluate({"--weights", Path("best.safetensors"), "--seed", "2"}));
  EXPECT_NE(other_seed["fid"], evaluated["fid"]);
}

TEST_F(CommandsTest, ANamedCandidateIsMerged) {
  Must({"merge", "--run", Path("run"), "--candidate", "0", "--output", Path("zero.safetensors")});
  Must({"merge", "--trajectory", Path("digits.traj"), "--ema-rate", "0", "--output", Path("rate.safetensors")});
  const NamedTensors zero = ReadSafetensors(Path("zero.safetensors")), rate = ReadSafetensors(Path("rate.safetensors"));
  for (const auto& [name, tensor] : rate) EXPECT_TRUE(at::equal(zero.at(name), tensor)) << name;
}

TEST_F(CommandsTest, SamplesAreWrittenAndScoreLikeTheirWeights) {
  const std::string weights = Path("train/checkpoints/step-000008.safetensors");
  Must({"sample", "--weights", weights, "--num-samples", "120", "--batch-size", "30", "--output", Path("images.npz"),
        "--grid", Path("grid.png"), "--grid-images", "25", "--set", "run.threads=1"});
  EXPECT_EQ(ReadImageSet(Path("images.npz")).images.sizes().vec(), (std::vector<std::int64_t>{120, 1, 8, 8}));
  EXPECT_THAT(ReadBytes(Path("grid.png")).substr(1, 3), "PNG");
  const double of_weights = JsonOf(Evaluate({"--weights", weights}))["fid"];
  const double of_images = JsonOf(Evaluate({"--images", Path("images.npz")}))["fid"];
  EXPECT_NEAR(of_images, of_weights, 1e-6 * of_weights);
}

TEST_F(CommandsTest, TheReferencesOwnImagesScoreZero) {
  const Json evaluated = JsonOf(Evaluate({"--images", kDigits}));
  EXPECT_NEAR(evaluated["fid"].get<double>(), 0, 1e-6);
  EXPECT_EQ(evaluated["num_samples"], 1797);
  EXPECT_TRUE(evaluated["seed"].is_null());
}

TEST_F(CommandsTest, TwoRanksEvaluateAsOneDoes) {
  const std::string weights = Path("train/checkpoints/step-000004.safetensors");
  const Arguments of_weights = Evaluate({"--weights", weights});
  const double alone = JsonOf(of_weights)["fid"];
  EXPECT_NEAR(ParseOne(RunCommand(MpiLcsc(2, of_weights)))["fid"].get<double>(), alone, 1e-6 * alone);
}

TEST_F(CommandsTest, BaselinesCompareTheRunOnBothNoises) {
  const Arguments command = {"baselines", Path("run"), "--held-out-samples", "90", "--held-out-seed",
                             "5",         "--grids",   Path("grids")};
  const Json json = ParseOne(RunCommand(MpiLcsc(3, command + Arguments{"--json"})));
  ExpectKeys(json, {"search_noise", "held_out_noise", "rows"});
  ASSERT_EQ(json["rows"].size(), 7u);
  EXPECT_EQ(json["rows"][0]["weights"], "last checkpoint");
  EXPECT_EQ(json["rows"][0]["which"], "step 8");
  EXPECT_EQ(json["rows"][2]["search_fid"], (*search_)["best_ema_score"]);
  EXPECT_EQ(json["rows"][6]["search_fid"], (*search_)["best_score"]);
  EXPECT_LE(json["rows"][1]["search_fid"], json["rows"][0]["search_fid"]);
  EXPECT_LE(json["rows"][5]["search_fid"], json["rows"][1]["search_fid"]) << "a soup begins with the best checkpoint";
  for (const Json& row : json["rows"]) {
    for (const Json& choice : row["chosen_from"]) EXPECT_GE(choice["search_fid"], row["search_fid"]) << row["weights"];
  }
  EXPECT_EQ(Json::parse(ReadBytes(Path("run/baselines.json"))), json);
  Must({"merge", "--run", Path("run"), "--output", Path("lcsc.safetensors")});
  const Json held_out = JsonOf(Evaluate({"--weights", Path("lcsc.safetensors"), "--seed", "5"}, "90"));
  const double fid = held_out["fid"];
  EXPECT_NEAR(json["rows"][6]["held_out_fid"].get<double>(), fid, 1e-6 * fid);
  for (const char* row : {"last-checkpoint", "best-single-checkpoint", "best-EMA", "post-hoc-EMA", "uniform-average",
                          "greedy-soup", "LCSC"}) {
    EXPECT_TRUE(std::filesystem::exists(Path("grids") + "/" + row + ".png")) << row;
  }
}

// Without a run the rates of EMAs are tried too.
TEST_F(CommandsTest, BaselinesOfATrajectory) {
  const auto command = [](const std::string& names) {
    return Arguments{"baselines", "--config",     Path("search.ini"), "--baselines",        names, "--every",
                     "2",         "--sigma-rels", "0.05,0.2",         "--held-out-samples", "90"};
  };
  const Json json = JsonOf(command("posthoc,ema,best") + Arguments{"--json"});
  ASSERT_EQ(json["rows"].size(), 3u);
  EXPECT_EQ(json["rows"][0]["chosen_from"].size(), 2u) << "steps 4 and 8";
  EXPECT_EQ(json["rows"][1]["search_fid"], (*search_)["best_ema_score"]);
  EXPECT_EQ(json["rows"][2]["chosen_from"].size(), 2u);
  EXPECT_THAT(json["rows"][2]["which"], HasSubstr("sigma_rel 0."));
  const std::string table = Must(command("last")).out;
  EXPECT_THAT(table, AllOf(HasSubstr("FID search noise, n = 120"), HasSubstr("FID held-out noise, n = 90")));
  EXPECT_THAT(table, HasSubstr("compare within a column"));
  for (const Arguments& bad : {Arguments{"baselines"}, command("soop")}) {
    const CommandResult refused = RunCommand(Lcsc(bad));
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_THAT(refused.err, HasSubstr(bad.size() == 1 ? "--config" : "'soup'"));
  }
}

// The audit's score is what the same weights score under that extractor alone.
TEST_F(CommandsTest, BaselinesAreAuditedByAnotherExtractor) {
  Must({"train",
        "--images",
        kDigits,
        "--network",
        Path("network.json"),
        "--output",
        Path("other"),
        "--set",
        "train.threads=1",
        "--set",
        "train.seed=2",
        "--set",
        "train.classifier_iterations=3",
        "--set",
        "train.diffusion_iterations=1",
        "--set",
        "train.tuning_iterations=2",
        "--set",
        "train.checkpoints=2",
        "--set",
        "train.checkpoint_interval=1"});
  const std::string extractor = Path("other/extractor.safetensors"), reference = Path("other.npz");
  Must({"reference", "--images", kDigits, "--extractor", extractor, "--output", reference});
  const auto command = [](const std::string& audit) {
    return Arguments{"baselines",   Path("run"), "--held-out-samples", "90", "--held-out-seed", "5",
                     "--baselines", "last",      "--audit-extractor",  audit};
  };
  const Json json = JsonOf(command(extractor + "=" + reference) + Arguments{"--json"});
  ASSERT_EQ(json["rows"].size(), 2u);
  ASSERT_EQ(json["rows"][1]["audit_fid"].size(), 1u);
  Must({"merge", "--run", Path("run"), "--output", Path("audited.safetensors")});
  const double fid =
      JsonOf({"evaluate", "--weights", Path("audited.safetensors"), "--seed", "5", "--extractor", extractor,
              "--reference", reference, "--num-samples", "90", "--batch-size", "30", "--json"})["fid"];
  EXPECT_NEAR(json["rows"][1]["audit_fid"][0].get<double>(), fid, 1e-6 * fid);
  EXPECT_NE(json["rows"][1]["audit_fid"][0], json["rows"][1]["held_out_fid"]);
  EXPECT_THAT(Must(command(extractor + "=" + reference)).out, HasSubstr("audit 1: held-out noise, n = 90"));
  const std::string own = Path("train/extractor.safetensors") + "=" + Path("reference.npz");
  for (const auto& [audit, words] :
       std::map<std::string, std::string>{{extractor, "expected EXTRACTOR=REFERENCE"},
                                          {own, "expected another extractor than the search's"},
                                          {extractor + "=" + Path("reference.npz"), "reference"}}) {
    const CommandResult refused = RunCommand(Lcsc(command(audit)));
    EXPECT_EQ(refused.exit_code, 2) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(words));
  }
}

TEST_F(CommandsTest, TheProgramExplainsItself) {
  EXPECT_THAT(Must({"--version"}).out, HasSubstr("lcsc 0."));
  const std::string help = Must({"--help"}).out;
  EXPECT_THAT(help, HasSubstr("Exit codes: 0 done, 2 bad input"));
  for (const char* command :
       {"train", "pack", "inspect", "reference", "search", "status", "baselines", "merge", "sample", "evaluate"}) {
    EXPECT_THAT(help, HasSubstr(command));
    EXPECT_THAT(Must({command, "--help"}).out, HasSubstr("lcsc " + std::string(command) + ": "));
  }
  for (const char* command : {"evaluate", "reference", "features"}) {
    const std::string images = Must({command, "--help"}).out;
    for (const char* kind : {".npz", ".safetensors (uint8", "folder of PNG", ".csv(.gz) digits"}) {
      EXPECT_THAT(images, HasSubstr(kind)) << command;
    }
  }
}

}  // namespace
}  // namespace lcsc
