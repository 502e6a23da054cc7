#include "lcsc/state/run_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "lcsc/base/error.h"
#include "lcsc/store/hdf5.h"

namespace lcsc {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class RunDirectoryTest : public ::testing::Test {
 protected:
  RunDirectoryTest() : folder_(fs::path(::testing::TempDir()) / "run_directory_test") { fs::remove_all(folder_); }

  static PopulationSnapshot Snapshot(std::size_t candidates) {
    PopulationSnapshot snapshot;
    snapshot.identity = {{"search.seed", "3"}, {"digest of evaluation.trajectory", "abc"}};
    snapshot.planned_evaluations = 50;
    snapshot.seconds = 12.5;
    for (std::size_t i = 0; i < candidates; ++i) {
      EvaluatedCandidate member;
      member.candidate.id = static_cast<std::int64_t>(i);
      member.candidate.generation = i < 2 ? 0 : 1;
      member.candidate.coefficients = {0.1 * static_cast<double>(i), 1 / 3.0, -1e-300};
      if (i < 2) member.candidate.ema_rate = 0.999;
      if (i >= 2) member.candidate.parents = {0, 1};
      if (i == 1) {
        member.outcome.failure = "non-finite images, \u00e9";
      } else {
        member.outcome.score = 1.0 / (static_cast<double>(i) + 3);
      }
      member.outcome.seconds.distance = 0.25;
      snapshot.population.push_back(member);
    }
    return snapshot;
  }

  fs::path folder_;
};

void ExpectEqual(const PopulationSnapshot& a, const PopulationSnapshot& b) {
  EXPECT_EQ(a.identity, b.identity);
  EXPECT_EQ(a.state, b.state);
  EXPECT_EQ(a.planned_evaluations, b.planned_evaluations);
  EXPECT_EQ(a.seconds, b.seconds);
  ASSERT_EQ(a.population.size(), b.population.size());
  for (std::size_t i = 0; i < a.population.size(); ++i) {
    EXPECT_EQ(a.population[i].candidate, b.population[i].candidate);
    EXPECT_EQ(a.population[i].outcome.score, b.population[i].outcome.score);
    EXPECT_EQ(a.population[i].outcome.failure, b.population[i].outcome.failure);
    EXPECT_EQ(a.population[i].outcome.metrics, b.population[i].outcome.metrics);
    EXPECT_EQ(a.population[i].outcome.seconds.distance, b.population[i].outcome.seconds.distance);
    EXPECT_EQ(a.population[i].order, b.population[i].order);
  }
  EXPECT_EQ(a.in_flight, b.in_flight);
}

TEST_F(RunDirectoryTest, ASnapshotReadsBackBitForBit) {
  const RunDirectory directory = RunDirectory::Create(folder_);
  EXPECT_FALSE(directory.ReadSnapshot().has_value());
  for (const std::size_t candidates : {0u, 1u, 4u}) {
    const PopulationSnapshot snapshot = Snapshot(candidates);
    directory.PublishSnapshot(snapshot);
    ExpectEqual(*directory.ReadSnapshot(), snapshot);
  }
}

// As files of before there were objectives have none; candidates without a score have none either.
TEST_F(RunDirectoryTest, CandidatesHaveTheMetricsThatAreKnown) {
  const RunDirectory directory = RunDirectory::Create(folder_);
  PopulationSnapshot snapshot = Snapshot(4);
  snapshot.population[0].outcome.metrics = {{"fid", 8.5}, {"kid", -1e-300}};
  snapshot.population[3].outcome.metrics = {{"inception_score", 3}};
  directory.PublishSnapshot(snapshot);
  ExpectEqual(*directory.ReadSnapshot(), snapshot);
}

std::int64_t VersionOf(const RunDirectory& directory) {
  return Hdf5Group::OpenFile(directory.population_path()).ReadIntegerAttribute("version");
}

TEST_F(RunDirectoryTest, TheOrderOfASteadyStateSearchReadsBack) {
  const RunDirectory directory = RunDirectory::Create(folder_);
  PopulationSnapshot snapshot = Snapshot(4);
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
  EXPECT_EQ(VersionOf(directory), 2);
  snapshot.population.clear();
  directory.PublishSnapshot(snapshot);
  ExpectEqual(*directory.ReadSnapshot(), snapshot);
  EXPECT_EQ(VersionOf(directory), 2) << "an older program would forget what is in flight";
}

TEST_F(RunDirectoryTest, AGenerationalSearchIsWrittenAsBefore) {
  const RunDirectory directory = RunDirectory::Create(folder_);
  directory.PublishSnapshot(Snapshot(4));
  EXPECT_EQ(VersionOf(directory), 1);
  const Hdf5Group root = Hdf5Group::OpenFile(directory.population_path());
  for (const char* name : {"seen", "order"}) EXPECT_FALSE(root.OpenGroup("candidates").Contains(name)) << name;
  EXPECT_FALSE(root.Contains("in_flight"));
}

TEST_F(RunDirectoryTest, AFullDiskLeavesTheOldSnapshot) {
  const RunDirectory directory = RunDirectory::Create(folder_);
  const PopulationSnapshot old = Snapshot(3);
  directory.PublishSnapshot(old);
  PopulationSnapshot large = Snapshot(3);
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
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "a temporary file was left";
}

TEST_F(RunDirectoryTest, ATruncatedSnapshotIsRefusedByName) {
  const RunDirectory directory = RunDirectory::Create(folder_);
  directory.PublishSnapshot(Snapshot(4));
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
