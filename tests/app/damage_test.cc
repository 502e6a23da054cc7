// A search whose run directory is taken, full, gone or damaged, and run again when that is mended.
#include "app/resumable_search.h"
#include "support/disk_full.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

class DamageTest : public ResumableSearch {
 protected:
  // Stops the search after some outcomes.
  static void RunInPart(const std::string& run, const Arguments& more = {}) {
    RunningCommand command(Lcsc(Search(run, more)));
    ASSERT_NO_FATAL_FAILURE(AwaitOutcomes(command, run));
    command.Signal(SIGTERM);
    ASSERT_EQ(command.Wait().exit_code, 3);
  }
  static void Flip(const std::string& path, std::int64_t at) {
    std::string bytes = ReadBytes(path);
    bytes.at(static_cast<std::size_t>(at)) ^= 0x11;
    WriteBytes(path, bytes);
  }
  static std::string JournalOf(const std::string& run) {
    std::string last;
    for (const auto& entry : fs::directory_iterator(project_->Path(run))) {
      if (entry.path().extension() == ".bin") last = std::max(last, entry.path().string());
    }
    return last;
  }
};

TEST_F(DamageTest, ASecondSearchIsRefusedAndTheFirstGoesOn) {
  RunningCommand first(Lcsc(Search("taken", {}, 100000)));
  AwaitOutcomes(first, "taken", 3);
  for (const Arguments& command : {Lcsc(Search("taken")), MpiLcsc(2, Search("taken"))}) {
    const CommandResult second = RunCommand(command);
    EXPECT_EQ(second.exit_code, 2);
    EXPECT_THAT(second.err, AllOf(HasSubstr("is in use by process " + std::to_string(first.pid())),
                                  HasSubstr("choose another run directory")));
  }
  first.Signal(SIGTERM);
  EXPECT_EQ(first.Wait().exit_code, 3);
  EXPECT_GT(project_->Status("taken")["evaluations"], 3);
}

TEST_F(DamageTest, AFullDiskEndsTheSearchAndTheSameCommandGoesOn) {
  CommandResult full;
  {
    const DiskFull disk(12000);
    full = RunCommand(Lcsc(Search("full", {"--set", "run.snapshot_interval_s=1000"})));
  }
  EXPECT_EQ(full.exit_code, 4);
  EXPECT_THAT(full.err, AllOf(HasSubstr("cannot append to"), HasSubstr("journal-"), HasSubstr("free some space")));
  EXPECT_GT(ExpectUnfinished("full", "running"), 5) << "what was on the disk";
  const CommandResult mended = RunCommand(Lcsc(Search("full")));
  EXPECT_EQ(mended.exit_code, 0);
  EXPECT_THAT(mended.err, HasSubstr("cut off while they were written"));
  EXPECT_EQ(project_->Status("full")["candidates"], *whole_);
}

TEST_F(DamageTest, AFolderThatGoesAwayEndsTheSearchAndTheSameCommandGoesOn) {
  RunningCommand command(Lcsc(Search("mounted", {"--set", "run.snapshot_interval_s=0"})));
  AwaitOutcomes(command, "mounted");
  fs::rename(project_->Path("mounted"), project_->Path("elsewhere"));
  const CommandResult result = command.Wait();
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr(project_->Path("mounted")));
  fs::rename(project_->Path("elsewhere"), project_->Path("mounted"));
  ExpectUnfinished("mounted", "running");
  EXPECT_EQ(project_->CandidatesOf(Lcsc(Search("mounted")), "mounted"), *whole_);
}

TEST_F(DamageTest, AFolderThatCannotBeWrittenIsRefusedAtTheStart) {
  const CommandResult result = RunCommand(Lcsc(Search("/proc/lcsc-run")));
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("/proc/lcsc-run"));
}

TEST_F(DamageTest, ADamagedSnapshotIsReplacedByTheOneBefore) {
  RunInPart("damaged");
  const std::string snapshot = project_->Path("damaged") + "/population.h5";
  Flip(snapshot, static_cast<std::int64_t>(fs::file_size(snapshot)) / 2);
  const CommandResult resumed = RunCommand(Lcsc(Search("damaged")));
  EXPECT_EQ(resumed.exit_code, 0);
  EXPECT_THAT(resumed.err, AllOf(HasSubstr("population.h5: expected the digest"), HasSubstr("population.prev.h5")));
  EXPECT_THAT(resumed.err, Not(HasSubstr(" 0 of 63 evaluations are done")));
  EXPECT_EQ(project_->Status("damaged")["candidates"], *whole_);
}

TEST_F(DamageTest, ATornJournalLosesItsTailOnly) {
  RunningCommand command(Lcsc(Search("torn")));
  AwaitOutcomes(command, "torn");
  command.KillAll();
  const std::int64_t before = ExpectUnfinished("torn", "running");
  fs::resize_file(JournalOf("torn"), fs::file_size(JournalOf("torn")) - 5);
  EXPECT_EQ(ExpectUnfinished("torn", "running"), before - 1);
  EXPECT_EQ(project_->CandidatesOf(Lcsc(Search("torn")), "torn"), *whole_);
}

TEST_F(DamageTest, NothingIsLostByAKillBetweenSnapshots) {
  RunningCommand command(Lcsc(Search("killed", {"--set", "run.snapshot_interval_s=1000"})));
  AwaitOutcomes(command, "killed");
  command.KillAll();
  EXPECT_GE(ExpectUnfinished("killed", "running"), 24) << "every outcome is in the journal";
  EXPECT_EQ(project_->CandidatesOf(Lcsc(Search("killed")), "killed"), *whole_);
}

TEST_F(DamageTest, ATimeLimitStopsTheSearchCleanly) {
  const CommandResult stopped = RunCommand(Lcsc(Search("limited", {"--max-hours", "0.0002"}, 100000)));
  EXPECT_EQ(stopped.exit_code, 3) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("the time limit: stopped after a clean snapshot"));
  EXPECT_EQ(project_->Status("limited")["state"], "interrupted");
}

TEST_F(DamageTest, ACandidateThatCrashedItsWorkerTwiceIsPassedOver) {
  RunInPart("crashing");
  const std::int64_t victim = ExpectUnfinished("crashing", "interrupted") + 5;
  const std::string folder = project_->Path("crashing");
  WriteBytes(folder + "/crash-1.txt", std::to_string(victim) + " SIGSEGV in stage sample on rank 1 (n1)\n");
  RunningCommand once(Lcsc(Search("crashing", {"--set", "run.snapshot_interval_s=0"})));
  ASSERT_TRUE(once.WaitUntil([&] { return !fs::exists(folder + "/crash-1.txt"); }));
  once.KillAll();
  WriteBytes(folder + "/crash-2.txt", std::to_string(victim) + " SIGBUS in stage merge on rank 2 (n1)\n");
  const nlohmann::json candidates = project_->CandidatesOf(Lcsc(Search("crashing")), "crashing");
  ASSERT_EQ(candidates.size(), whole_->size());
  for (const nlohmann::json& candidate : candidates) {
    const bool is_victim = candidate["id"] == victim;
    EXPECT_EQ(candidate["score"].is_null(), is_victim);
    if (is_victim) {
      EXPECT_THAT(
          candidate["failure"].get<std::string>(),
          AllOf(HasSubstr("2 times"), HasSubstr("SIGSEGV in stage sample"), HasSubstr("SIGBUS in stage merge")));
    }
  }
}

}  // namespace
}  // namespace lcsc
