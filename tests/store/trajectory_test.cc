#include "lcsc/store/trajectory.h"

#include <gmock/gmock.h>

#include "lcsc/base/error.h"
#include "lcsc/io/npz.h"
#include "lcsc/store/hdf5.h"
#include "lcsc/store/inspector.h"
#include "lcsc/store/shard_reader.h"
#include "store/checkpoints.h"

namespace lcsc {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Four checkpoints in two segments, each in four parameter ranges.
class TrajectoryTest : public ::testing::Test {
 protected:
  TrajectoryTest() {
    folder_.WriteSteps(0, 4);
    PackOptions options = folder_.Options();
    options.shard_elements = 5;
    options.segment_checkpoints = 2;
    Pack(options);
  }
  std::string Refusal() const {
    return MessageOf<InputError>([&] { ReadTrajectory(folder_.output()); });
  }
  // Flips one bit of the float32 `value` where it first stands in the file.
  void FlipBitOf(const std::string& file, float value) {
    std::string bytes = ReadBytes(folder_.output() / file);
    const std::size_t place = bytes.find(std::string(reinterpret_cast<const char*>(&value), sizeof value));
    ASSERT_NE(place, std::string::npos);
    bytes[place] ^= 1;
    WriteBytes(folder_.output() / file, bytes);
  }

  CheckpointFolder folder_;
};

TEST_F(TrajectoryTest, AnyRangeIsTheSamePartOfTheWhole) {
  const Trajectory trajectory = ReadTrajectory(folder_.output());
  const at::Tensor base = ToyTheta(0);
  for (const ParameterRange range : {ParameterRange{0, kToyParameters}, {0, 5}, {3, 11}, {16, 17}, {7, 7}}) {
    const Shard shard = ReadShard(trajectory, range);
    EXPECT_TRUE(at::equal(shard.base, base.narrow(0, range.begin, range.size())));
    ASSERT_EQ(shard.deltas.sizes(), (at::IntArrayRef{3, range.size()}));
    for (std::int64_t i = 1; i < 4; ++i) {
      const at::Tensor expected = (ToyTheta(i) - base).narrow(0, range.begin, range.size());
      EXPECT_TRUE(at::equal(shard.deltas[i - 1], expected)) << range.begin << " " << i;
    }
  }
  EXPECT_THROW(ReadShard(trajectory, {0, kToyParameters + 1}), InvariantError);
}

TEST_F(TrajectoryTest, AFlippedBitInADeltaIsFoundByItsDigest) {
  const Trajectory trajectory = ReadTrajectory(folder_.output());
  FlipBitOf("shard-00005.h5", (ToyTheta(3) - ToyTheta(0))[6].item<float>());
  const auto expected = AllOf(HasSubstr("shard-00005.h5"), HasSubstr("deltas"), HasSubstr("step 30"));
  EXPECT_THAT(MessageOf<InputError>([&] { VerifyTrajectory(folder_.output()); }), expected);
  EXPECT_THAT(MessageOf<InputError>([&] { ReadShard(trajectory, {0, kToyParameters}); }), expected);
  EXPECT_THAT(MessageOf<InputError>([&] { ReadCheckpoint(trajectory, 3); }), expected);
  EXPECT_NO_THROW(ReadShard(trajectory, {0, kToyParameters}, Verify::kNo));
  EXPECT_NO_THROW(ReadShard(trajectory, {0, 5}));
}

TEST_F(TrajectoryTest, AFlippedBitInTheBaseIsFoundByItsDigest) {
  FlipBitOf("shard-00001.h5", ToyTheta(0)[6].item<float>());
  EXPECT_THAT(MessageOf<InputError>([&] { VerifyTrajectory(folder_.output()); }),
              AllOf(HasSubstr("shard-00001.h5"), HasSubstr("base"), HasSubstr("step 0")));
}

TEST_F(TrajectoryTest, ATruncatedShardIsRefused) {
  const auto path = folder_.output() / "shard-00002.h5";
  const std::string bytes = ReadBytes(path);
  WriteBytes(path, bytes.substr(0, bytes.size() - 8));
  EXPECT_THAT(MessageOf<InputError>([&] { VerifyTrajectory(folder_.output()); }),
              AllOf(HasSubstr("shard-00002.h5"), HasSubstr("truncated")));
}

TEST_F(TrajectoryTest, AShardOfAnotherShapeIsRefused) {
  fs::copy_file(folder_.output() / "shard-00003.h5", folder_.output() / "shard-00002.h5",
                fs::copy_options::overwrite_existing);
  EXPECT_THAT(MessageOf<InputError>([&] { VerifyTrajectory(folder_.output()); }),
              AllOf(HasSubstr("shard-00002.h5"), HasSubstr("[1, 5]"), HasSubstr("[1, 2]")));
}

TEST_F(TrajectoryTest, AMissingShardIsNamed) {
  fs::remove(folder_.output() / "shard-00004.h5");
  EXPECT_THAT(Refusal(), HasSubstr("shard-00004.h5"));
}

TEST_F(TrajectoryTest, AFolderWithoutAManifestIsNoTrajectory) {
  fs::remove(folder_.output() / "manifest.h5");
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("x.traj"), HasSubstr("lcsc pack")));
}

TEST_F(TrajectoryTest, AnUnknownVersionIsRefused) {
  PublishHdf5(folder_.output() / "manifest.h5", [](Hdf5Group& root) {
    root.WriteTextAttribute("format", "lcsc trajectory");
    root.WriteIntegerAttribute("version", 3);
  });
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("version 1"), HasSubstr("version 3")));
}

TEST_F(TrajectoryTest, ADamagedManifestIsRefusedWhereverTheBitFlips) {
  const auto path = folder_.output() / "manifest.h5";
  const std::string bytes = ReadBytes(path);
  for (const char* const part : {"step-20.saf", "F32", "[3, 4]", "shard-00001", "toy", "running_var", "f32"}) {
    std::string flipped = bytes;
    const std::size_t place = flipped.find(part);
    ASSERT_NE(place, std::string::npos) << part;
    flipped[place + 1] ^= 1;
    WriteBytes(path, flipped);
    EXPECT_THAT(Refusal(), HasSubstr("manifest.h5")) << part;
  }
  WriteBytes(path, bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(Refusal(), HasSubstr("manifest.h5"));
}

TEST_F(TrajectoryTest, TheInspectorDescribesIt) {
  const nlohmann::json description = DescribeFile(folder_.output());
  EXPECT_EQ(description["kind"], "trajectory");
  EXPECT_EQ(description["version"], 1);
  EXPECT_EQ(description["steps"], (std::vector<std::int64_t>{0, 10, 20, 30}));
  EXPECT_EQ(description["storage"], "f32");
  EXPECT_EQ(description["network"]["model_type"], "toy");
  EXPECT_EQ(description["num_elements"], kToyParameters);
  EXPECT_EQ(description["tensors"][0]["shape"], (std::vector<std::int64_t>{3, 4}));
  EXPECT_EQ(description["carried"].size(), 2u);
  EXPECT_EQ(description["shards"].size(), 8u);
  EXPECT_EQ(description["digest"], ReadTrajectory(folder_.output()).Digest());
  EXPECT_EQ(description["checkpoints"][2]["file"], "step-20.safetensors");
}

TEST_F(TrajectoryTest, TheInspectorDescribesTensorsAndArrays) {
  const nlohmann::json weights = DescribeFile(folder_ / "ckpt" / CheckpointFolder::NameOf(1));
  EXPECT_EQ(weights["kind"], "safetensors");
  EXPECT_EQ(weights["network"]["model_type"], "toy");
  EXPECT_EQ(weights["tensors"][0]["type"], "F32");
  EXPECT_EQ(weights["num_elements"], kToyParameters + 3);
  WriteNpz(folder_ / "x.npz", {{"mu", at::zeros({4}, at::kDouble)}});
  const nlohmann::json arrays = DescribeFile(folder_ / "x.npz");
  EXPECT_EQ(arrays["kind"], "npz");
  EXPECT_EQ(arrays["tensors"][0]["type"], "<f8");
  EXPECT_THAT(MessageOf<InputError>([&] { DescribeFile(folder_ / "none.npz"); }), HasSubstr("none.npz"));
  WriteBytes(folder_ / "x.txt", "");
  EXPECT_THROW(DescribeFile(folder_ / "x.txt"), InputError);
}

}  // namespace
}  // namespace lcsc
