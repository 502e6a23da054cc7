// A search that is stopped or killed half-way, and run again.
#include "app/resumable_search.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using ResumeTest = ResumableSearch;

TEST_F(ResumeTest, AStoppedSearchGoesOnBitForBit) {
  RunningCommand command(Lcsc(Search("stopped")));
  AwaitOutcomes(command, "stopped");
  command.Signal(SIGTERM);
  const CommandResult stopped = command.Wait();
  EXPECT_EQ(stopped.exit_code, 3) << stopped.err;
  ExpectUnfinished("stopped", "interrupted");
  EXPECT_EQ(project_->CandidatesOf(Lcsc(Search("stopped")), "stopped"), *whole_);
  EXPECT_EQ(project_->Status("stopped")["state"], "done");
}

// mpirun lets its ranks work for another second before it passes SIGTERM on, so only a search without an end is sure to
// be caught; it is resumed with an end that comes soon.
TEST_F(ResumeTest, RanksThatAreStoppedTogetherGoOnBitForBit) {
  RunningCommand command(MpiLcsc(3, Search("ranks", {}, 100000)));
  AwaitOutcomes(command, "ranks", 5);
  command.Signal(SIGTERM);
  command.Wait();
  const std::int64_t epochs = ExpectUnfinished("ranks", "interrupted") / 10 + 1;
  EXPECT_EQ(project_->CandidatesOf(MpiLcsc(3, Search("ranks", {}, epochs)), "ranks"),
            project_->CandidatesOf(MpiLcsc(3, Search("at-once", {}, epochs)), "at-once"));
}

TEST_F(ResumeTest, TheLauncherPassesEveryStopOn) {
  ::setenv("LCSC", LCSC_BINARY, /*overwrite=*/1);
  MpiLcsc(3, {});  // for its environment
  const Arguments launcher = {LCSC_SOURCE_DIR "/launch/run", "--workers", "2"};
  RunningCommand command(launcher + Search("asked"));
  AwaitOutcomes(command, "asked");
  command.Signal(SIGTERM);
  const CommandResult stopped = command.Wait();
  EXPECT_EQ(stopped.exit_code, 3) << stopped.err;
  ExpectUnfinished("asked", "interrupted");
}

TEST_F(ResumeTest, AKilledSearchGoesOnFromItsSnapshotWithOtherRanks) {
  RunningCommand command(MpiLcsc(3, Search("killed", {"--set", "run.snapshot_interval_s=0"})));
  AwaitOutcomes(command, "killed");
  EXPECT_EQ(command.KillAll().exit_code, 128 + SIGKILL);
  ExpectUnfinished("killed", "running");
  EXPECT_GE(project_->Status("killed")["evaluations"], 24);
  ExpectSameSearch(project_->CandidatesOf(MpiLcsc(5, Search("killed", {"--set", "run.group_size=2"})), "killed"),
                   *whole_);
}

TEST_F(ResumeTest, AFinishedSearchGoesOnWhenEpochsAreRaised) {
  const auto epochs = [](const std::string& run, const std::string& count) {
    return project_->CandidatesOf(Lcsc(project_->Search(run, {"--set", "search.epochs=" + count})), run);
  };
  const nlohmann::json longer = epochs("longer", "5");
  EXPECT_EQ(epochs("raised", "2").size(), 11u);
  EXPECT_EQ(epochs("raised", "5"), longer);
}

TEST_F(ResumeTest, AChangeThatMakesScoresIncomparableIsRefused) {
  ExpectRefused("whole", {"--set", "search.mutation_std=0.25"}, {"search.mutation_std", "'0.1'", "'0.25'"});
  ExpectRefused("whole", {"--set", "evaluation.seed=7"}, {"evaluation.seed", "'1'", "'7'"});
}

TEST_F(ResumeTest, AnotherTrajectoryIsRefused) {
  const auto digest = [](const std::string& trajectory) {
    const std::string text = RunCommand(Lcsc({"inspect", project_->Path(trajectory), "--json"})).out;
    return nlohmann::json::parse(text)["digest"].get<std::string>();
  };
  ExpectRefused("whole", {"--set", "evaluation.trajectory=" + project_->Path("other.traj")},
                {"evaluation.trajectory", digest("f32.traj"), digest("other.traj")});
}

// Where locks do not reach across hosts: it had been stopped for so long that another took the run over.
TEST_F(ResumeTest, ASearchThatWasTakenOverEndsWithACodeThatIsNotRetried) {
  RunningCommand command(
      MpiLcsc(3, Search("taken", {"--set", "run.snapshot_interval_s=0", "--max-hours", "0.01"}, 100000)));
  AwaitOutcomes(command, "taken", 5);
  const std::string lock = project_->Path("taken") + "/lock", other = R"({"host": "elsewhere", "pid": 7, "job": ""})";
  WriteBytes(lock + ".new", other);
  std::filesystem::rename(lock + ".new", lock);
  const CommandResult result = command.Wait();
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("no longer this search's"), HasSubstr("process 7 on elsewhere")));
  EXPECT_EQ(ReadBytes(lock), other);
}

TEST_F(ResumeTest, OtherNumSamplesAreRefused) {
  const CommandResult result =
      RunCommand(Lcsc(project_->Search("whole", {"--set", "search.epochs=6", "--set", "search.children=10"})));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, AllOf(HasSubstr("evaluation.num_samples"), HasSubstr("'320'"), HasSubstr("'60'")));
}

}  // namespace
}  // namespace lcsc
