#include "lcsc/state/run_directory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <utility>

#include "lcsc/base/error.h"
#include "lcsc/base/fault_point.h"
#include "lcsc/store/hdf5.h"
#include "state/snapshots.h"
#include "support/temp_folder.h"

namespace {
bool g_has_links = true;
}

// In place of the C library's.
extern "C" int link(const char* from, const char* to) noexcept {
  if (g_has_links) return ::linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
  errno = EPERM;
  return -1;
}

namespace lcsc {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class RunDirectoryTest : public ::testing::Test {
 protected:
  RunDirectoryTest() : folder_(fs::path(::testing::TempDir()) / "run_directory_test") { fs::remove_all(folder_); }

  fs::path folder_;
};

TEST_F(RunDirectoryTest, ASnapshotReadsBackBitForBit) {
  RunDirectory directory = RunDirectory::Create(folder_);
  EXPECT_FALSE(directory.ReadSnapshot().has_value());
  for (const std::int64_t candidates : {0, 1, 4}) {
    const PopulationSnapshot snapshot = SnapshotOf(candidates);
    directory.PublishSnapshot(snapshot);
    ExpectEqual(*directory.ReadSnapshot(), snapshot);
  }
}

// As files of before there were objectives have none; candidates without a score have none either.
TEST_F(RunDirectoryTest, CandidatesHaveTheMetricsThatAreKnown) {
  RunDirectory directory = RunDirectory::Create(folder_);
  PopulationSnapshot snapshot = SnapshotOf(4);
  snapshot.population[0].outcome.metrics = {{"fid", 8.5}, {"kid", -1e-300}};
  snapshot.population[3].outcome.metrics = {{"inception_score", 3}};
  directory.PublishSnapshot(snapshot);
  ExpectEqual(*directory.ReadSnapshot(), snapshot);
}

TEST_F(RunDirectoryTest, TheOrderOfASteadyStateSearchReadsBack) {
  RunDirectory directory = RunDirectory::Create(folder_);
  PopulationSnapshot snapshot = SnapshotOf(4);
  const std::vector<std::int64_t> seen = {0, 0, 1, 3}, order = {2, 0, 1, 3};
  for (std::size_t i = 0; i < 4; ++i) {
    snapshot.population[i].candidate.seen = seen[i];
    snapshot.population[i].order = order[i];
  }
  for (std::int64_t id = 4; id < 7; ++id) {
    snapshot.in_flight.push_back(
        {.id = id, .generation = 1, .coefficients = {1.0 / 7, 0.5, -0.25}, .parents = {3, 0}, .seen = id - 1});
  }
  directory.PublishSnapshot(snapshot);
  ExpectEqual(*directory.ReadSnapshot(), snapshot);
  snapshot.population.clear();
  directory.PublishSnapshot(snapshot);
  ExpectEqual(*directory.ReadSnapshot(), snapshot);
}

TEST_F(RunDirectoryTest, AGenerationalSearchHasNoOrder) {
  RunDirectory directory = RunDirectory::Create(folder_);
  directory.PublishSnapshot(SnapshotOf(4));
  const Hdf5Group root = Hdf5Group::OpenFile(directory.population_path());
  for (const char* name : {"seen", "order"}) EXPECT_FALSE(root.OpenGroup("candidates").Contains(name)) << name;
  EXPECT_FALSE(root.Contains("in_flight"));
}

TEST_F(RunDirectoryTest, AFullDiskLeavesTheOldSnapshot) {
  RunDirectory directory = RunDirectory::Create(folder_);
  const PopulationSnapshot old = SnapshotOf(3);
  directory.PublishSnapshot(old);
  PopulationSnapshot large = SnapshotOf(3);
  large.population[0].candidate.coefficients.assign(3, 0.5);
  for (int i = 0; i < 2000; ++i) large.population.push_back(large.population[2]);

  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit tight{16384, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &tight);
  EXPECT_THROW(directory.PublishSnapshot(large), IoError);
  setrlimit(RLIMIT_FSIZE, &before);

  ExpectEqual(*directory.ReadSnapshot(), old);
  for (const auto& entry : fs::directory_iterator(folder_)) {
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos) << entry.path();
  }
}

// Two masters where locks do not reach: the one that was taken for dead goes on.
TEST_F(RunDirectoryTest, AMasterThatWasTakenForDeadLeavesTheOthersRecordsAlone) {
  RunDirectory directory = RunDirectory::Create(folder_);
  directory.PublishSnapshot(SnapshotOf(2));
  const std::string snapshot = ReadBytes(directory.population_path());
  WriteBytes(folder_ / "journal-00000002.bin", "of another");
  EXPECT_THAT(MessageOf<ConfigError>([&] { directory.PublishSnapshot(SnapshotOf(3)); }),
              HasSubstr("journal-00000002.bin is there already"));
  WriteBytes(folder_ / "lock", R"({"host": "elsewhere", "pid": 7, "job": ""})");
  EXPECT_THAT(MessageOf<ConfigError>([&] { directory.PublishSnapshot(SnapshotOf(3)); }),
              HasSubstr("process 7 on elsewhere"));
  EXPECT_FALSE(fs::exists(folder_ / "journal-00000003.bin"));
  EXPECT_EQ(ReadBytes(folder_ / "journal-00000002.bin"), "of another");
  EXPECT_EQ(ReadBytes(directory.population_path()), snapshot);
}

TEST_F(RunDirectoryTest, ANewHolderRemovesWhatKilledPublishesLeft) {
  const std::vector<std::string> leftovers = {"config.ini.tmp-12", "population.h5.tmp-345", "population.prev.h5.tmp",
                                              "live.json.tmp"};
  const std::vector<std::string> others = {"population.h5.tmp-old", "notes.tmp-12", "config.ini.tmp",
                                           "x.live.json.tmp"};
  fs::create_directories(folder_);
  for (const auto& names : {leftovers, others}) {
    for (const std::string& name : names) WriteBytes(folder_ / name, "half");
  }
  RunDirectory::Create(folder_);
  for (const std::string& name : leftovers) EXPECT_FALSE(fs::exists(folder_ / name)) << name;
  for (const std::string& name : others) EXPECT_TRUE(fs::exists(folder_ / name)) << name;
}

TEST_F(RunDirectoryTest, WithoutHardLinksThePreviousSnapshotReachesTheDiskAsACopy) {
  RunDirectory directory = RunDirectory::Create(folder_);
  directory.PublishSnapshot(SnapshotOf(1));
  int flushes = 0;
  SetFaultHook([&](const FaultSite& site) { flushes += site.name == "file.sync" ? 1 : 0; });
  directory.PublishSnapshot(SnapshotOf(2));
  const int with_links = std::exchange(flushes, 0);
  g_has_links = false;
  directory.PublishSnapshot(SnapshotOf(3));
  g_has_links = true;
  SetFaultHook(nullptr);
  EXPECT_EQ(flushes, with_links + 1);
  ExpectEqual(ReadPopulation(directory.previous_path()), SnapshotOf(2));
}

TEST_F(RunDirectoryTest, ATruncatedSnapshotIsRefusedByName) {
  RunDirectory directory = RunDirectory::Create(folder_);
  directory.PublishSnapshot(SnapshotOf(4));
  fs::resize_file(directory.population_path(), fs::file_size(directory.population_path()) / 2);
  try {
    directory.ReadSnapshot();
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("population.h5"));
  }
}

TEST_F(RunDirectoryTest, AFolderWithoutAPopulationIsNoRun) {
  EXPECT_THROW(RunDirectory::OpenExisting(folder_), InputError);
  RunDirectory::Create(folder_);
  EXPECT_THROW(RunDirectory::OpenExisting(folder_), InputError);
}

TEST_F(RunDirectoryTest, AnotherIdentityIsRefusedWithKeyAndBothValues) {
  const RunIdentity saved = {{"search.seed", "3"}, {"evaluation.num_samples", "2000"}};
  RunIdentity present = saved;
  CheckSameIdentity(saved, present, folder_);
  present["evaluation.num_samples"] = "4000";
  try {
    CheckSameIdentity(saved, present, folder_);
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("evaluation.num_samples was '2000'"));
    EXPECT_THAT(error.what(), HasSubstr("is '4000'"));
  }
  EXPECT_THROW(CheckSameIdentity(saved, {{"search.seed", "3"}}, folder_), ConfigError);
}

TEST_F(RunDirectoryTest, MetricsAreAppendedAcrossSessions) {
  for (int session = 0; session < 2; ++session) {
    RunDirectory directory = RunDirectory::Create(folder_);
    directory.AppendMetrics("{\"id\":1}");
  }
  std::ifstream file(folder_ / "metrics.jsonl");
  const std::string content((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(content, "{\"id\":1}\n{\"id\":1}\n");
}

}  // namespace
}  // namespace lcsc
