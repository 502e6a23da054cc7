// Packing as users do it: by one rank or several, of every format; the trajectory is the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "app/run_command.h"
#include "store/checkpoints.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;
namespace fs = std::filesystem;

class PackTest : public ::testing::Test {
 protected:
  PackTest() { folder_.WriteSteps(0, kCheckpoints); }

  Arguments Command(const std::string& output, const Arguments& more = {}) const {
    return Arguments{"pack", "--checkpoints", folder_ / "ckpt/*.safetensors", "--output", folder_ / output} + more;
  }

  // What `lcsc pack --json` says after a success; 1 rank is no mpirun.
  Json Pack(int ranks, const std::string& output, const Arguments& more = {}) const {
    const Arguments command = Command(output, more + Arguments{"--json"});
    const CommandResult result = RunCommand(ranks == 1 ? Lcsc(command) : MpiLcsc(ranks, command));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }

  static constexpr std::int64_t kCheckpoints = 11;
  CheckpointFolder folder_;
};

TEST_F(PackTest, SeveralRanksMakeTheTrajectoryOfOne) {
  const Json alone = Pack(1, "alone.traj");
  const Json together = Pack(3, "together.traj");
  EXPECT_EQ(together["digest"], alone["digest"]);
  EXPECT_EQ(RunCommand(Lcsc({"inspect", folder_ / "together.traj", "--verify"})).exit_code, 0);
  EXPECT_EQ(together["packed"], kCheckpoints);
  const std::int64_t weights = kCheckpoints * kToyParameters * 4;
  for (const Json& report : {alone, together}) {
    EXPECT_EQ(report["bytes_read"], weights);
    EXPECT_GT(report["bytes_written"], weights);
    EXPECT_GT(report["plain_write_mb_per_s"], 0);
    const double ratio = report["write_mb_per_s"].get<double>() / report["plain_write_mb_per_s"].get<double>();
    EXPECT_NEAR(report["fraction_of_disk"], ratio, 1e-9);
  }
  // 11 checkpoints are two segments of 8 for one rank, and cut into three of 4 for three.
  EXPECT_TRUE(fs::exists(folder_ / "together.traj/shard-00002.h5"));
  EXPECT_FALSE(fs::exists(folder_ / "alone.traj/shard-00002.h5"));
}

TEST_F(PackTest, ParameterRangesAreSharedToo) {
  const Arguments ranges = {"--shard-elements", "5", "--storage", "f16"};
  EXPECT_EQ(Pack(3, "together.traj", ranges)["digest"], Pack(1, "alone.traj", ranges)["digest"]);
}

TEST_F(PackTest, SeveralRanksAppendToWhatOnePacked) {
  const Json whole = Pack(1, "whole.traj");
  for (std::int64_t i = 5; i < kCheckpoints; ++i) fs::remove(folder_ / "ckpt" / CheckpointFolder::NameOf(i));
  Pack(1, "parts.traj");
  folder_.WriteSteps(5, kCheckpoints);
  const Json appended = Pack(3, "parts.traj");
  EXPECT_EQ(appended["skipped"], 5);
  EXPECT_EQ(appended["packed"], kCheckpoints - 5);
  EXPECT_EQ(appended["digest"], whole["digest"]);
}

TEST_F(PackTest, AnErrorOfOneRankIsOneMessageAndLeavesNothing) {
  constexpr std::int64_t kBad = 6;  // of the second rank
  NamedTensors tensors = ToyTensors(kBad);
  tensors["b"][3] = std::numeric_limits<float>::quiet_NaN();
  folder_.Write(CheckpointFolder::NameOf(kBad), tensors);
  const CommandResult result = RunCommand(MpiLcsc(3, Command("bad.traj")));
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr(CheckpointFolder::NameOf(kBad)), HasSubstr("\"b\""), HasSubstr("nan")));
  EXPECT_EQ(result.err.find("lcsc: error", result.err.find("lcsc: error") + 1), std::string::npos) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(fs::is_empty(folder_ / "bad.traj"));
}

TEST_F(PackTest, GoesOnBehindWhatSeveralKilledRanksLeft) {
  const Json whole = Pack(1, "whole.traj");
  fs::create_directory(folder_ / "killed.traj");
  RunningCommand running(MpiLcsc(3, Command("killed.traj")));
  running.WaitUntil([&] { return !fs::is_empty(folder_ / "killed.traj"); });
  running.KillAll();
  EXPECT_EQ(Pack(2, "killed.traj")["digest"], whole["digest"]);
}

TEST_F(PackTest, TorchFilesOfNestedDictsGiveTheSameTrajectory) {
  // The fixture's weights under two steps: as .safetensors, and as torch.save files of another layout.
  const fs::path data = fs::path(LCSC_SOURCE_DIR) / "tests/data";
  const TempFolder folder;
  WriteBytes(folder / "network.json", kNetworkJson);
  for (const int step : {5, 1000}) {
    const std::string name = "step-" + std::to_string(step);
    fs::copy(data / "edm_ddpmpp.weights.safetensors", folder / (name + ".safetensors"));
    fs::copy(data / "edm_ddpmpp.weights.pt", folder / (name + ".pt"));
  }
  const auto digest = [&](const Arguments& checkpoints, const std::string& output) {
    const CommandResult result = RunCommand(Lcsc(
        Arguments{"pack", "--output", folder / output, "--network", folder / "network.json", "--json"} + checkpoints));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(result.out, nullptr, /*allow_exceptions=*/false)["digest"];
  };
  const Json expected = digest({"--checkpoints", folder / "*.safetensors"}, "a.traj");
  EXPECT_EQ(digest({"--checkpoints", folder / "*.pt"}, "b.traj"), expected);
}

TEST_F(PackTest, TheKeyAndTheStepOfNestedFiles) {
  const fs::path data = fs::path(LCSC_SOURCE_DIR) / "tests/data";
  const TempFolder folder;
  WriteBytes(folder / "network.json", kNetworkJson);
  fs::copy(data / "torch_nested.pt", folder / "last-3.pt");  // its own step is 77
  fs::copy(data / "torch_protocol4.pt", folder / "last-9.pt");
  const Arguments pack = {"pack",      "--checkpoints",        folder / "*.pt", "--output", folder / "x.traj",
                          "--network", folder / "network.json"};
  EXPECT_THAT(RunCommand(Lcsc(pack)).err, AllOf(HasSubstr("--key"), HasSubstr("\"state.ema\" (2 tensors)")));
  EXPECT_THAT(RunCommand(Lcsc(pack + Arguments{"--key", "state.ema"})).err,
              AllOf(HasSubstr("different steps"), HasSubstr("77")));
  fs::remove(folder / "last-9.pt");
  fs::copy(data / "torch_parameters.pt", folder / "plain-9.pt");
  EXPECT_THAT(RunCommand(Lcsc(pack + Arguments{"--key", "state.ema"})).err,
              AllOf(HasSubstr("plain-9.pt"), HasSubstr("the top itself (2 tensors)")));
}

TEST_F(PackTest, ANetworkThatTheCheckpointsDoNotFitIsSaidBeforehand) {
  const CommandResult packed = RunCommand(Lcsc(Command("unknown.traj")));
  EXPECT_EQ(packed.exit_code, 0);
  EXPECT_THAT(packed.err, HasSubstr("`lcsc search` will not: network JSON: \"model_type\" is \"toy\""));
}

}  // namespace
}  // namespace lcsc
