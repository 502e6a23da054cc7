// Ranks that die, hang, crash or fail in the middle of a search: one message says where, and the same command goes on.
#include <algorithm>
#include <chrono>
#include <regex>

#include "app/tiny_project.h"
#include "lcsc/base/error.h"
#include "lcsc/base/process.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::json;

class FaultTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    project_ = new TinyProject;
    whole_ = new Json(project_->CandidatesOf(MpiLcsc(3, project_->Search("whole")), "whole"));
    ASSERT_EQ(whole_->size(), 15u);
  }
  static void TearDownTestSuite() {
    delete project_;
    delete whole_;
  }
  ~FaultTest() override { ::unsetenv("LCSC_FAULTS"); }

  // A search with faults, as `ranks` ranks, or without mpirun when that is 1.
  static Arguments Faulty(const std::string& faults, int ranks, const std::string& run, const Arguments& more = {}) {
    ::setenv("LCSC_FAULTS", faults.c_str(), /*overwrite=*/1);
    const Arguments search = project_->Search(run, more);
    Arguments command = ranks == 1 ? Lcsc(search) : MpiLcsc(ranks, search);
    std::replace(command.begin(), command.end(), std::string(LCSC_BINARY), std::string(LCSC_FAULTY_BINARY));
    return command;
  }
  static const Arguments kPatience;

  // An empty object before the search has written it.
  static Json Live(const std::string& run) {
    const std::string text = ReadBytes(project_->Path(run) + "/live.json");
    return text.empty() ? Json::object() : Json::parse(text);
  }

  // The rank that hangs at this candidate, as live.json has it.
  static Json AwaitRankAt(RunningCommand& command, const std::string& run, std::int64_t candidate) {
    Json found;
    const auto is_there = [&] {
      const Json live = Live(run);
      for (const Json& group : live.value("groups", Json::array())) {
        for (const Json& rank : group["ranks"]) {
          if (rank["candidate"] == candidate && rank["stage_seconds"] > 1) found = rank;
        }
      }
      return !found.is_null();
    };
    EXPECT_TRUE(command.WaitUntil(is_there)) << command.Wait().err;
    return found;
  }

  // "rank 1 (host, pid 123)".
  static std::string NameOf(const Json& rank) {
    return fmt::format("rank {} ({}, pid {})", rank["rank"].get<int>(), HostName(), rank["pid"].get<int>());
  }

  static void ExpectGoesOn(const std::string& run) {
    ::unsetenv("LCSC_FAULTS");
    ExpectSameSearch(project_->CandidatesOf(MpiLcsc(3, project_->Search(run)), run), *whole_);
    EXPECT_EQ(Live(run)["state"], "done");
    EXPECT_EQ(Live(run)["evaluations"], 15);
  }

  static TinyProject* project_;
  static Json* whole_;  // the candidates of the undisturbed search
};
TinyProject* FaultTest::project_ = nullptr;
Json* FaultTest::whole_ = nullptr;
const Arguments FaultTest::kPatience = {"--set", "run.hang_timeout_s=3"};

TEST_F(FaultTest, AKilledWorkerIsNamedWithItsCandidateAndStage) {
  RunningCommand command(Faulty("stage.measure@7=hang", 3, "killed"));
  const Json rank = AwaitRankAt(command, "killed", 7);
  ::kill(rank.value("pid", 0), SIGKILL);
  const CommandResult result = command.Wait();
  EXPECT_EQ(result.exit_code, 128 + SIGKILL) << result.err;
  EXPECT_THAT(result.err, HasSubstr(NameOf(rank) + " is gone"));
  EXPECT_THAT(result.err, HasSubstr("it was in candidate 7, stage measure; its group held the candidates 7"));
  EXPECT_EQ(Live("killed")["state"], "interrupted");
  ExpectGoesOn("killed");
}

TEST_F(FaultTest, AStopOfAllRanksIsNotTakenForADeath) {
  constexpr int kMpirunWasStopped = 1;  // mpirun's own code after its SIGTERM; what launch/run makes of it is 3
  for (const auto& [signal_number, exit_code] : {std::pair(SIGUSR1, 3), std::pair(SIGTERM, kMpirunWasStopped)}) {
    const std::string run = "stop-" + std::to_string(signal_number);
    RunningCommand command(Faulty("stage.measure@7=hang", 3, run));
    AwaitRankAt(command, run, 7);
    command.Signal(signal_number);
    const CommandResult result = command.Wait();
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr("stopped after a clean snapshot"), Not(HasSubstr("is gone"))));
    ExpectGoesOn(run);
  }
}

TEST_F(FaultTest, AStoppedWorkerIsFoundByItsHeartbeats) {
  const auto start = std::chrono::steady_clock::now();
  const CommandResult result = RunCommand(Faulty("stage.measure@7=stop", 3, "stopped", kPatience));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("ended %.1f s after its start\n", seconds.count());
  EXPECT_EQ(result.exit_code, 5) << result.err;
  const std::regex message(
      R"(no heartbeat for \d s \(bound 3 s\) from rank [12] \(.*, pid \d+\), last heard in .*stage \w+; group [01] holds the candidates [\d, ]*\b7\b)");
  EXPECT_TRUE(std::regex_search(result.err, message)) << result.err;
  EXPECT_EQ(Live("stopped")["state"], "failed");
  ExpectGoesOn("stopped");
}

TEST_F(FaultTest, AWorkerThatHangsIsFoundByItsSilence) {
  const CommandResult result = RunCommand(Faulty("stage.finish@7=hang", 3, "hung", kPatience));
  EXPECT_EQ(result.exit_code, 5) << result.err;
  const std::regex message(
      R"(group [01] has given no sign of life for \d s \(bound 3 s\): rank [12] \(.*, pid \d+\) in candidate 7, stage finish for \d\.\d s, heard [01]\.\d s ago)");
  EXPECT_TRUE(std::regex_search(result.err, message)) << result.err;
  ExpectGoesOn("hung");
}

TEST_F(FaultTest, ARankThatDoesNotJoinACollectiveIsFound) {
  const Arguments pairs = {"--set", "run.group_size=2"};
  const CommandResult result = RunCommand(Faulty("collective.reduce@7#2=hang", 3, "collective", pairs + kPatience));
  EXPECT_EQ(result.exit_code, 5) << result.err;
  EXPECT_THAT(result.err, HasSubstr("group 0 has given no sign of life"));
  for (const int world_rank : {1, 2}) {
    const std::regex message(fmt::format(R"(rank {} \(.*, pid \d+\) in candidate 7, stage reduce)", world_rank));
    EXPECT_TRUE(std::regex_search(result.err, message)) << result.err;
  }
  ExpectGoesOn("collective");
}

TEST_F(FaultTest, ACrashLeavesTheCandidateInTheRunDirectory) {
  const CommandResult result = RunCommand(Faulty("stage.measure@7=segv", 3, "crashed"));
  EXPECT_EQ(result.exit_code, 128 + SIGSEGV) << result.err;
  EXPECT_THAT(result.err, HasSubstr("lcsc: SIGSEGV in stage measure on rank "));
  std::string lines;
  for (const char* file : {"/crash-1.txt", "/crash-2.txt"}) lines += ReadBytes(project_->Path("crashed") + file);
  EXPECT_TRUE(std::regex_match(lines, std::regex(R"(7 SIGSEGV in stage measure on rank [12] \(.*\) at \d+\n)")))
      << lines;
  ExpectGoesOn("crashed");
}

TEST_F(FaultTest, OneRankAloneCrashesAsClearly) {
  const CommandResult result = RunCommand(Faulty("stage.finish@7=abort", 1, "alone"));
  EXPECT_EQ(result.exit_code, 128 + SIGABRT) << result.err;
  EXPECT_THAT(ReadBytes(project_->Path("alone") + "/crash-0.txt"),
              StartsWith("7 SIGABRT in stage finish on rank 0 (" + HostName() + ") at "));
  ExpectGoesOn("alone");
}

TEST_F(FaultTest, AnErrorInAStageSaysWhereItCameUp) {
  const std::string place = " on " + HostName() + ", candidate 7, stage finish)";
  for (const int ranks : {1, 3}) {
    const std::string run = "thrown-" + std::to_string(ranks);
    const CommandResult result = RunCommand(Faulty("stage.finish@7=throw", ranks, run));
    EXPECT_EQ(result.exit_code, 4) << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr("error: injected at stage.finish (rank "), HasSubstr(place)));
    ExpectGoesOn(run);
  }
}

// In the middle of the search, which publishes a snapshot after every outcome.
TEST_F(FaultTest, AFullDiskEndsTheSearchAndNothingIsLost) {
  for (const char* site : {"file.sync", "file.rename", "journal.sync"}) {
    const std::string run = std::string("full-") + site;
    const CommandResult result =
        RunCommand(Faulty(fmt::format("{}#0=enospc+8", site), 3, run, {"--set", "run.snapshot_interval_s=0"}));
    EXPECT_EQ(result.exit_code, 4) << result.err;
    EXPECT_THAT(result.err, HasSubstr("No space left on device"));
    const std::size_t kept = project_->Status(run)["candidates"].size();
    EXPECT_TRUE(kept > 0 && kept < whole_->size()) << site << ": " << kept;
    ExpectGoesOn(run);
  }
}

// What was in flight is asked for again, and again; a candidate that ends its worker twice is passed over.
TEST_F(FaultTest, ASteadyStateSearchIsResumedAgainAndAgain) {
  const Arguments steady = {"--set", "search.schedule=steady-state"};
  for (const std::string fault : {"kill", "segv"}) {
    const std::string run = "steady-" + fault;
    for (int crashes = 0; crashes < 2; ++crashes) {
      const CommandResult result = RunCommand(Faulty("stage.measure@7=" + fault, 3, run, steady));
      EXPECT_EQ(result.exit_code, 128 + (fault == "kill" ? SIGKILL : SIGSEGV)) << result.err;
    }
    ::unsetenv("LCSC_FAULTS");
    const Json candidates = project_->CandidatesOf(MpiLcsc(3, project_->Search(run, steady)), run);
    ASSERT_EQ(candidates.size(), whole_->size());
    EXPECT_EQ(candidates[7]["score"].is_null(), fault == "segv") << candidates[7];
  }
}

// A crash of one candidate is one, though all ranks of its group leave a report.
TEST_F(FaultTest, AGroupThatCrashesOnceIsGivenAnotherChance) {
  const Arguments pairs = {"--set", "run.group_size=2"};
  const CommandResult result = RunCommand(Faulty("stage.measure@7=segv", 3, "pair", pairs));
  EXPECT_EQ(result.exit_code, 128 + SIGSEGV) << result.err;
  WriteBytes(project_->Path("pair") + "/crash-2.txt", "7 SIGSEGV in stage measure on rank 2 (elsewhere) at 1\n");
  ExpectGoesOn("pair");
}

// All but the last checkpoint alone have a share of one whose weights are so large that images overflow.
TEST_F(FaultTest, ACandidateWithNonFiniteImagesIsAnOutcome) {
  const TinyModels& models = project_->models();
  for (const int step : {1, 2, 3}) {
    NamedTensors weights = models.Weights(static_cast<std::uint64_t>(step));
    if (step == 2) {
      for (auto& [name, tensor] : weights) tensor.fill_(1e30);
    }
    models.WriteCheckpoint("wild-" + std::to_string(step), weights, step);
  }
  const std::string checkpoints = models.folder() / "wild-*.safetensors";
  const Arguments pack = {"pack", "--checkpoints", checkpoints, "--output", project_->Path("wild.traj")};
  ASSERT_EQ(RunCommand(Lcsc(pack)).exit_code, 0);
  project_->WriteConfig("wild.ini", "wild.traj");
  const Arguments search = project_->Search("wild", {"--set", "run.group_size=2"}, "wild.ini");
  const Json candidates = project_->CandidatesOf(MpiLcsc(3, search), "wild");
  ASSERT_EQ(candidates.size(), 15u);
  EXPECT_TRUE(candidates[0]["score"].is_number());
  for (std::size_t i = 1; i < candidates.size(); ++i) EXPECT_EQ(candidates[i]["failure"], "non-finite images") << i;
}

}  // namespace
}  // namespace lcsc
