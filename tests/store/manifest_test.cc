// Manifests with a right digest whose content cannot be true.
#include "manifest.h"

#include <gmock/gmock.h>

#include <functional>

#include "lcsc/base/error.h"
#include "manifest_check.h"
#include "store/checkpoints.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Four checkpoints in two segments, each in two parameter ranges: [0, 9) and [9, 17).
class ManifestTest : public ::testing::Test {
 protected:
  ManifestTest() {
    folder_.WriteSteps(0, 4);
    PackOptions options = folder_.Options();
    options.shard_elements = 9;
    options.segment_checkpoints = 2;
    Pack(options);
  }

  // What the reader says of the manifest after `change`.
  std::string RefusalOf(const std::function<void(Trajectory&)>& change) const {
    Trajectory trajectory = ReadTrajectory(folder_.output());
    const Trajectory sound = trajectory;
    change(trajectory);
    PublishManifest(trajectory);
    const std::string message = MessageOf<InputError>([&] { ReadTrajectory(folder_.output()); });
    PublishManifest(sound);
    return message;
  }

  CheckpointFolder folder_;
};

TEST_F(ManifestTest, ASoundOneIsPublishedAndReadBack) {
  EXPECT_EQ(RefusalOf([](Trajectory&) {}), "");
  EXPECT_EQ(ReadTrajectory(folder_.output()).shards.size(), 4u);
}

TEST_F(ManifestTest, ShardFilesThatDoNotTileTheTrajectoryAreNamed) {
  const std::vector<std::pair<std::size_t, ShardFile>> wrong = {
      {1, {.name = "", .parameters = {9, 18}, .checkpoints = {0, 2}, .base_digest = "", .row_digests = {}}},
      {1, {.name = "", .parameters = {9, 16}, .checkpoints = {0, 2}, .base_digest = "", .row_digests = {}}},
      {1, {.name = "", .parameters = {8, 17}, .checkpoints = {0, 2}, .base_digest = "", .row_digests = {}}},
      {1, {.name = "", .parameters = {9, 9}, .checkpoints = {0, 2}, .base_digest = "", .row_digests = {}}},
      {0, {.name = "", .parameters = {-1, 9}, .checkpoints = {0, 2}, .base_digest = "", .row_digests = {}}},
      {0, {.name = "", .parameters = {INT64_MIN, 9}, .checkpoints = {0, 2}, .base_digest = "", .row_digests = {}}},
      {3, {.name = "", .parameters = {9, INT64_MAX}, .checkpoints = {2, 4}, .base_digest = "", .row_digests = {}}},
  };
  for (const auto& [index, file] : wrong) {
    EXPECT_THAT(RefusalOf([&](Trajectory& trajectory) { trajectory.shards[index].parameters = file.parameters; }),
                AllOf(HasSubstr("manifest.h5"), HasSubstr("holds parameters")))
        << index << " " << file.parameters.begin;
  }
}

TEST_F(ManifestTest, CheckpointsThatNoShardFileHoldsAreNoticed) {
  EXPECT_THAT(RefusalOf([](Trajectory& trajectory) { trajectory.shards.resize(2); }),
              HasSubstr("2 checkpoints for 4 steps"));
  EXPECT_THAT(RefusalOf([](Trajectory& trajectory) { trajectory.shards.resize(3); }), HasSubstr("holds parameters"));
  EXPECT_THAT(RefusalOf([](Trajectory& trajectory) {
                trajectory.steps.push_back(50);
                trajectory.sources.push_back(trajectory.sources.front());
              }),
              HasSubstr("4 checkpoints for 5 steps"));
  EXPECT_THAT(RefusalOf([](Trajectory& trajectory) {
                trajectory.shards[3].checkpoints = {2, 1};
              }),
              HasSubstr("digests of shard-00003.h5"));
}

TEST_F(ManifestTest, OtherValuesThatCannotBeAreNamed) {
  EXPECT_THAT(RefusalOf([](Trajectory& trajectory) { std::swap(trajectory.steps[1], trajectory.steps[2]); }),
              HasSubstr("step 20 before 10"));
  EXPECT_THAT(RefusalOf([](Trajectory& trajectory) { trajectory.shard_elements = 0; }), HasSubstr("0 parameters"));
  EXPECT_THAT(RefusalOf([](Trajectory& trajectory) { trajectory.shards[0].name = "../x.traj/shard-00000.h5"; }),
              HasSubstr("no name of a file in its folder"));
  EXPECT_THAT(RefusalOf([](Trajectory& trajectory) {
                std::vector<TensorEntry> entries = trajectory.table.entries();
                entries[1].name = entries[0].name;
                trajectory.table = TensorTable(entries);
              }),
              HasSubstr("\"a\" is there twice"));
  EXPECT_THAT(RefusalOf([](Trajectory& trajectory) {
                trajectory.network_json = std::string(100, '[') + std::string(100, ']');
              }),
              HasSubstr("network"));
}

TEST_F(ManifestTest, AShardFileTooShortForItsRowsIsNamed) {
  WriteBytes(folder_.output() / "shard-00003.h5", "short");
  EXPECT_THAT(MessageOf<InputError>([&] { ReadTrajectory(folder_.output()); }),
              AllOf(HasSubstr("shard-00003.h5"), HasSubstr("8 bytes for each of 8 parameters"), HasSubstr("5 in all")));
}

TEST(ParseShapeTest, ShapesOfBoundedSizeAreRead) {
  EXPECT_EQ(ParseShape("m.h5", "a", "[64, 3, 1]"), (std::vector<std::int64_t>{64, 3, 1}));
  EXPECT_EQ(ParseShape("m.h5", "a", "[]"), std::vector<std::int64_t>{});
  EXPECT_EQ(ParseShape("m.h5", "a", "[0, 5]"), (std::vector<std::int64_t>{0, 5}));
  EXPECT_EQ(ParseShape("m.h5", "a", "[281474976710656]"), std::vector<std::int64_t>{kMostElements});
}

TEST(ParseShapeTest, AnythingElseIsRefused) {
  for (const char* const text : {"", "3", "[-1]", "[1.5]", "[\"3\"]", "[[3]]", "[null]", "{\"3\": 3}",
                                 "[281474976710657]", "[9223372036854775808]", "[18446744073709551616]",
                                 "[4294967296, 4294967296]", "[0, 9223372036854775807]", "[16777217, 16777216]"}) {
    EXPECT_THAT(MessageOf<InputError>([&] { ParseShape("m.h5", "a", text); }),
                AllOf(HasSubstr("m.h5"), HasSubstr("\"a\" has the shape")))
        << text;
  }
}

}  // namespace
}  // namespace lcsc
