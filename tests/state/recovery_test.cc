// What a run directory gives back after damage and kills.
#include <gmock/gmock.h>

#include <fstream>

#include "lcsc/base/error.h"
#include "lcsc/store/hdf5.h"
#include "state/snapshots.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class RecoveryTest : public ::testing::Test {
 protected:
  // Snapshots of 2 and of 4 outcomes, two more in the journal behind each.
  void WriteRun() {
    RunDirectory directory = RunDirectory::Create(folder());
    for (const std::int64_t told : {2, 4}) {
      directory.PublishSnapshot(SnapshotOf(told));
      for (const std::int64_t id : {told, told + 1}) directory.Append(Member(id));
      directory.SyncJournal();
    }
  }
  static void Flip(const fs::path& path, std::int64_t at) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(at);
    const char byte = static_cast<char>(file.get());
    file.seekp(at);
    file.put(static_cast<char>(byte ^ 0x20));
  }
  static std::string MessageOf(const std::function<void()>& work) {
    try {
      work();
    } catch (const InputError& error) {
      return error.what();
    }
    return "no error";
  }
  fs::path folder() const { return folder_.path() / "run"; }

  TempFolder folder_;
};

TEST_F(RecoveryTest, TheJournalIsAddedToTheSnapshot) {
  WriteRun();
  const RunDirectory directory = RunDirectory::OpenExisting(folder());
  const auto snapshot = directory.ReadSnapshot();
  EXPECT_EQ(snapshot->journalled, 2);
  ExpectEqual(*snapshot, SnapshotOf(6));
}

TEST_F(RecoveryTest, ADamagedSnapshotFallsBackToThePreviousOneAndBothJournals) {
  WriteRun();
  const auto bytes = static_cast<std::int64_t>(fs::file_size(folder() / "population.h5"));
  for (const std::int64_t at : {std::int64_t{0}, bytes / 3, bytes / 2, bytes - 60}) {
    Flip(folder() / "population.h5", at);
    const RunDirectory directory = RunDirectory::OpenExisting(folder());
    const auto snapshot = directory.ReadSnapshot();
    EXPECT_EQ(snapshot->journalled, 4) << "byte " << at;
    ExpectEqual(*snapshot, SnapshotOf(6));
    Flip(folder() / "population.h5", at);
  }
  fs::resize_file(folder() / "population.h5", static_cast<std::uintmax_t>(bytes) - 10);
  ExpectEqual(*RunDirectory::OpenExisting(folder()).ReadSnapshot(), SnapshotOf(6));
}

TEST_F(RecoveryTest, RecoverPutsTheDamagedSnapshotAsideAndKeepsTheGoodOne) {
  WriteRun();
  Flip(folder() / "population.h5", 1000);
  {
    RunDirectory directory = RunDirectory::Create(folder());
    const auto snapshot = directory.Recover();
    ExpectEqual(*snapshot, SnapshotOf(6));
    EXPECT_TRUE(fs::exists(folder() / "population.h5.damaged"));
    EXPECT_FALSE(fs::exists(folder() / "population.h5"));
    ExpectEqual(*directory.ReadSnapshot(), SnapshotOf(6));
    directory.PublishSnapshot(*snapshot);
  }
  ExpectEqual(*RunDirectory::OpenExisting(folder()).ReadSnapshot(), SnapshotOf(6));
}

TEST_F(RecoveryTest, TwoDamagedSnapshotsAreRefusedByName) {
  WriteRun();
  for (const char* name : {"population.h5", "population.prev.h5"}) Flip(folder() / name, 500);
  const std::string message = MessageOf([&] { RunDirectory::OpenExisting(folder()).ReadSnapshot(); });
  EXPECT_THAT(message, HasSubstr("population.h5"));
  EXPECT_THAT(message, HasSubstr("population.prev.h5"));
}

TEST_F(RecoveryTest, ANewerVersionIsRefusedAndNotFallenBackFrom) {
  WriteRun();
  PublishHdf5(folder() / "population.h5", [](Hdf5Group& root) {
    root.WriteTextAttribute("kind", "lcsc population");
    root.WriteIntegerAttribute("version", 5);
  });
  const std::string message = MessageOf([&] { RunDirectory::OpenExisting(folder()).ReadSnapshot(); });
  EXPECT_THAT(message, HasSubstr("found 5; use the lcsc that wrote it"));
}

// Version 1, as it was written before there were journals.
TEST_F(RecoveryTest, AnOlderVersionIsRead) {
  fs::create_directories(folder());
  PublishHdf5(folder() / "population.h5", [](Hdf5Group& root) {
    root.WriteTextAttribute("kind", "lcsc population");
    root.WriteIntegerAttribute("version", 1);
    root.WriteTextAttribute("state", "interrupted");
    root.WriteIntegerAttribute("planned_evaluations", 9);
    root.WriteIntegerAttribute("updated", 5);
    const std::vector<double> times = {7, 0.5};
    root.Write<double>("seconds_utilisation", times);
    root.WriteTexts("identity_keys", {"search.seed"});
    root.WriteTexts("identity_values", {"3"});
  });
  RunDirectory directory = RunDirectory::Create(folder());
  const auto snapshot = directory.Recover();
  EXPECT_EQ(snapshot->planned_evaluations, 9);
  EXPECT_EQ(snapshot->state, RunState::kInterrupted);
  directory.PublishSnapshot(*snapshot);
  directory.Append(Member(0));
  EXPECT_EQ(directory.ReadSnapshot()->population.size(), 1u);
}

TEST_F(RecoveryTest, OldJournalsGoAndTheNeededOnesStay) {
  RunDirectory directory = RunDirectory::Create(folder());
  for (std::int64_t told = 0; told < 5; ++told) directory.PublishSnapshot(SnapshotOf(told));
  std::int64_t journals = 0;
  for (const auto& entry : fs::directory_iterator(folder())) journals += entry.path().extension() == ".bin";
  EXPECT_EQ(journals, 2);
}

// Order and candidates in flight of a steady-state search.
TEST_F(RecoveryTest, WhatWasAskedForIsInFlightUntilItIsTold) {
  RunDirectory directory = RunDirectory::Create(folder());
  PopulationSnapshot snapshot;
  const auto asked = [](std::int64_t id) {
    Candidate candidate = Member(id).candidate;
    candidate.seen = 0;
    return candidate;
  };
  snapshot.in_flight = {asked(0), asked(1)};
  directory.PublishSnapshot(snapshot);
  directory.Append(asked(2));
  directory.Append(EvaluatedCandidate{asked(2), Member(2).outcome});
  directory.Append(EvaluatedCandidate{asked(0), Member(0).outcome});
  const auto read = directory.ReadSnapshot();
  ASSERT_EQ(read->population.size(), 2u);
  EXPECT_EQ(read->population[0].order, 1);
  EXPECT_EQ(read->population[1].order, 0);
  EXPECT_EQ(read->in_flight, std::vector<Candidate>{asked(1)});
}

// By a search that was resumed and killed again before it was told.
TEST_F(RecoveryTest, WhatWasAskedForTwiceIsInFlightOnce) {
  RunDirectory directory = RunDirectory::Create(folder());
  PopulationSnapshot snapshot;
  Candidate asked = Member(0).candidate;
  asked.seen = 0;
  snapshot.in_flight = {asked};
  directory.PublishSnapshot(snapshot);
  directory.Append(asked);
  EXPECT_EQ(directory.ReadSnapshot()->in_flight, std::vector<Candidate>{asked});
}

TEST_F(RecoveryTest, CrashReportsNameTheCandidate) {
  const RunDirectory directory = RunDirectory::Create(folder());
  std::ofstream(folder() / "crash-2.txt") << "17 SIGSEGV in stage sample on rank 2 (n1)\n";
  std::ofstream(folder() / "crash-3.txt") << "-1 SIGBUS in stage set-up on rank 3 (n1)\n";
  std::ofstream(folder() / "crash-4.txt") << "99999999999999999999999 what";
  const auto reports = directory.ReadCrashReports();
  ASSERT_EQ(reports.size(), 3u);
  EXPECT_EQ(reports[0].accusation, (Accusation{17, "SIGSEGV in stage sample on rank 2 (n1)"}));
  EXPECT_FALSE(reports[1].accusation || reports[2].accusation);
}

}  // namespace
}  // namespace lcsc
