#include "lcsc/store/packer.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>

#include "lcsc/base/error.h"
#include "lcsc/base/stop_signal.h"
#include "lcsc/store/shard_reader.h"
#include "store/checkpoints.h"
#include "support/disk_full.h"

namespace lcsc {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string RefusalOf(const PackOptions& options) {
  return MessageOf<InputError>([&] { Pack(options); });
}

TEST(PackTest, FloatCheckpointsComeBackExactly) {
  CheckpointFolder folder;
  folder.WriteSteps(0, 5);
  EXPECT_EQ(folder.PackAll().num_packed, 5);
  const Trajectory trajectory = ReadTrajectory(folder.output());
  EXPECT_THAT(trajectory.steps, ElementsAre(0, 10, 20, 30, 40));
  EXPECT_EQ(trajectory.table.num_elements(), kToyParameters);
  EXPECT_EQ(nlohmann::json::parse(trajectory.network_json), nlohmann::json::parse(kNetworkJson));
  for (std::int64_t i = 0; i < 5; ++i) {
    EXPECT_TRUE(at::equal(ReadCheckpoint(trajectory, i), ToyTheta(i))) << i;
  }
}

TEST(PackTest, SixteenBitDeltasAreOffByHalfAnUlpAtMost) {
  struct Case {
    StorageType storage;
    double relative_half_ulp;
  };
  for (const auto& [storage, half_ulp] : {Case{StorageType::kFloat16, 0x1p-11}, Case{StorageType::kBFloat16, 0x1p-8}}) {
    CheckpointFolder folder;
    folder.WriteSteps(0, 4);
    PackOptions options = folder.Options();
    options.storage = storage;
    Pack(options);
    const Shard shard = ReadShard(ReadTrajectory(folder.output()), {0, kToyParameters});
    EXPECT_TRUE(at::equal(shard.base, ToyTheta(0)));
    ASSERT_EQ(shard.deltas.scalar_type(), ScalarTypeOf(storage));
    for (std::int64_t i = 1; i < 4; ++i) {
      const at::Tensor exact = ToyTheta(i).to(at::kDouble) - ToyTheta(0).to(at::kDouble);
      const at::Tensor error = (shard.deltas[i - 1].to(at::kDouble) - exact).abs();
      EXPECT_TRUE((error <= exact.abs() * half_ulp).all().item<bool>()) << StorageTypeName(storage) << " " << i;
      EXPECT_GT(error.max().item<double>(), 0) << "16 bits cannot be exact here";
    }
  }
}

TEST(PackTest, OrdersByStepAndNotByName) {
  CheckpointFolder folder;
  folder.Write("net-100.safetensors", 2);
  folder.Write("net-20.safetensors", 1);
  folder.Write("net-9-final.safetensors", 0);
  folder.PackAll();
  const Trajectory trajectory = ReadTrajectory(folder.output());
  EXPECT_THAT(trajectory.steps, ElementsAre(9, 20, 100));
  EXPECT_EQ(trajectory.sources[1].file_name, "net-20.safetensors");
  EXPECT_TRUE(at::equal(ReadCheckpoint(trajectory, 2), ToyTheta(2)));
}

TEST(PackTest, TheMetadataStepComesBeforeTheName) {
  CheckpointFolder folder;
  fs::create_directory(folder / "ckpt");
  for (const int i : {0, 1}) {
    WriteSafetensors(folder / "ckpt" / ("x" + std::to_string(9 - i) + ".safetensors"), ToyTensors(i),
                     {{"config", kNetworkJson}, {"step", std::to_string(500 + i)}});
  }
  folder.PackAll();
  EXPECT_THAT(ReadTrajectory(folder.output()).steps, ElementsAre(500, 501));
}

TEST(PackTest, IntegersAndRunningBuffersAreThoseOfTheLastCheckpoint) {
  CheckpointFolder folder;
  folder.WriteSteps(0, 3);
  folder.PackAll();
  const Trajectory trajectory = ReadTrajectory(folder.output());
  ASSERT_EQ(trajectory.carried.size(), 2u);
  EXPECT_EQ(trajectory.carried.at("norm.num_batches_tracked").item<std::int64_t>(), 102);
  EXPECT_TRUE(at::equal(trajectory.carried.at("norm.running_mean"), at::full({2}, 1.0f)));
}

TEST(PackTest, OtherFloatTypesAreMergedInFloat32AndRememberTheirType) {
  CheckpointFolder folder;
  for (const int i : {0, 1}) {
    folder.Write(CheckpointFolder::NameOf(i), {{"h", at::full({2}, 1.5 + i, at::kHalf)},
                                               {"b", at::full({2}, 2.5 + i, at::kBFloat16)},
                                               {"d", at::full({2}, 0.1 + i, at::kDouble)}});
  }
  folder.PackAll();
  const Trajectory trajectory = ReadTrajectory(folder.output());
  EXPECT_EQ(trajectory.table.entries()[0].type, DataType::kBFloat16);
  EXPECT_EQ(trajectory.table.entries()[1].type, DataType::kFloat64);
  EXPECT_EQ(trajectory.table.entries()[2].type, DataType::kFloat16);
  EXPECT_TRUE(at::equal(ReadCheckpoint(trajectory, 0), at::tensor({2.5f, 2.5f, 0.1f, 0.1f, 1.5f, 1.5f})));
}

TEST(PackTest, AppendingEqualsPackingAtOnce) {
  CheckpointFolder at_once, by_parts;
  at_once.WriteSteps(0, 7);
  by_parts.WriteSteps(0, 3);
  PackOptions options = by_parts.Options();
  options.shard_elements = 5;  // four parameter ranges
  Pack(options);
  by_parts.WriteSteps(3, 7);
  options.segment_checkpoints = 2;
  const PackReport report = Pack(options);
  EXPECT_EQ(report.num_skipped, 3);
  EXPECT_EQ(report.num_packed, 4);
  options = at_once.Options();
  options.shard_elements = 5;
  Pack(options);
  const Trajectory a = ReadTrajectory(at_once.output()), b = ReadTrajectory(by_parts.output());
  EXPECT_EQ(a.Digest(), b.Digest());
  EXPECT_EQ(a.shards.size(), 4u);
  EXPECT_EQ(b.shards.size(), 12u);
  EXPECT_TRUE(at::equal(ReadShard(a, {0, kToyParameters}).deltas, ReadShard(b, {0, kToyParameters}).deltas));
  EXPECT_NO_THROW(VerifyTrajectory(by_parts.output()));
}

TEST(PackTest, AnotherContentHasAnotherDigest) {
  CheckpointFolder a, b;
  a.WriteSteps(0, 3);
  b.WriteSteps(0, 3);
  const std::string digest = a.PackAll().trajectory.Digest();
  NamedTensors changed = ToyTensors(1);
  changed["b"][4] += 1e-6;
  b.Write(CheckpointFolder::NameOf(1), changed);
  EXPECT_NE(b.PackAll().trajectory.Digest(), digest);
  fs::remove_all(a.output());
  PackOptions options = a.Options();
  options.storage = StorageType::kFloat16;
  EXPECT_NE(Pack(options).trajectory.Digest(), digest);
}

TEST(PackTest, GoesOnBehindWhatAKilledPackerLeft) {
  CheckpointFolder killed, whole;
  whole.WriteSteps(0, 6);
  killed.WriteSteps(0, 4);
  PackOptions options = killed.Options();
  options.segment_checkpoints = 2;
  Pack(options);
  killed.WriteSteps(4, 6);
  WriteBytes(killed.output() / "shard-00002.h5", "renamed, but the manifest was not published");
  WriteBytes(killed.output() / "shard-00003.h5.tmp-12345", "half");
  WriteBytes(killed.output() / "manifest.h5.tmp-12345", "half");
  const PackReport report = Pack(options);
  EXPECT_EQ(report.num_packed, 2);
  EXPECT_FALSE(fs::exists(killed.output() / "shard-00003.h5.tmp-12345"));
  EXPECT_FALSE(fs::exists(killed.output() / "manifest.h5.tmp-12345"));
  EXPECT_EQ(ReadTrajectory(killed.output()).Digest(), whole.PackAll().trajectory.Digest());
  EXPECT_NO_THROW(VerifyTrajectory(killed.output()));
}

TEST(PackTest, StartsAnewWhereAPackerWasKilledBeforeItsFirstManifest) {
  CheckpointFolder folder;
  folder.WriteSteps(0, 2);
  fs::create_directory(folder.output());
  WriteBytes(folder.output() / "shard-00000.h5.tmp-1", "half");
  folder.PackAll();
  EXPECT_NO_THROW(VerifyTrajectory(folder.output()));
}

TEST(PackTest, AFolderOfTheUsersOwnFilesIsRefusedAndLeftAlone) {
  for (const char* prefix : {"shard-0000", "manifest.h5-"}) {
    CheckpointFolder folder;
    for (std::int64_t i = 0; i < 3; ++i) folder.Write(prefix + std::to_string(i) + ".safetensors", i);
    PackOptions options = folder.Options();
    const fs::path home = fs::path(options.checkpoints).parent_path();
    options.output = home;
    EXPECT_THAT(RefusalOf(options), HasSubstr("expected a trajectory or an empty folder"));
    EXPECT_EQ(std::distance(fs::directory_iterator(home), {}), 3);
  }
}

TEST(PackTest, PackingTheSameAgainChangesNothing) {
  CheckpointFolder folder;
  folder.WriteSteps(0, 3);
  const std::string digest = folder.PackAll().trajectory.Digest();
  const PackReport again = folder.PackAll();
  EXPECT_EQ(again.num_packed, 0);
  EXPECT_EQ(again.num_skipped, 3);
  EXPECT_EQ(ReadTrajectory(folder.output()).Digest(), digest);
}

TEST(PackTest, AStopSignalEndsBetweenSegments) {
  CheckpointFolder folder;
  folder.WriteSteps(0, 3);
  SetStopRequested(true);
  const PackReport report = folder.PackAll();
  SetStopRequested(false);
  EXPECT_EQ(report.num_packed, 0);
  EXPECT_EQ(folder.PackAll().num_packed, 3);
}

TEST(PackTest, AFullDiskKeepsTheOldManifestAndLeavesNoTemporaryFile) {
  CheckpointFolder folder;
  folder.WriteSteps(0, 2);
  const std::string digest = folder.PackAll().trajectory.Digest();
  folder.WriteSteps(2, 4);
  {
    const DiskFull full(/*limit_bytes=*/1024);
    EXPECT_THROW(folder.PackAll(), IoError);
  }
  EXPECT_EQ(ReadTrajectory(folder.output()).Digest(), digest);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.output()), {}), 2);
  EXPECT_EQ(folder.PackAll().num_packed, 2);
}

class BadCheckpointsTest : public ::testing::Test {
 protected:
  BadCheckpointsTest() { folder_.WriteSteps(0, 3); }
  std::string Refusal() const { return RefusalOf(folder_.Options()); }
  // The refusal once the tensors of step 20 were changed; nothing may have been written.
  template <typename Change>
  std::string RefusalAfter(Change change) {
    NamedTensors tensors = ToyTensors(2);
    change(tensors);
    folder_.Write(CheckpointFolder::NameOf(2), tensors);
    return Refusal();
  }

  CheckpointFolder folder_;
};

TEST_F(BadCheckpointsTest, ATensorThatIsMissingIsNamed) {
  EXPECT_THAT(RefusalAfter([](NamedTensors& tensors) { tensors.erase("b"); }),
              AllOf(HasSubstr("step-20"), HasSubstr("\"b\" (F32 [5])"), HasSubstr("step-0.")));
  EXPECT_FALSE(fs::exists(folder_.output()));
}

TEST_F(BadCheckpointsTest, ATensorTooManyIsNamed) {
  EXPECT_THAT(RefusalAfter([](NamedTensors& tensors) { tensors["aa"] = at::ones({7}); }),
              AllOf(HasSubstr("step-20"), HasSubstr("\"aa\" (F32 [7])"), HasSubstr("lacks")));
  EXPECT_THAT(RefusalAfter([](NamedTensors& tensors) { tensors["z"] = at::ones({7}); }), HasSubstr("\"z\""));
}

TEST_F(BadCheckpointsTest, AnotherShapeOrTypeIsNamedWithBothValues) {
  EXPECT_THAT(RefusalAfter([](NamedTensors& tensors) {
                tensors["a"] = at::ones({4, 3});
              }),
              AllOf(HasSubstr("\"a\""), HasSubstr("F32 [3, 4]"), HasSubstr("F32 [4, 3]")));
  EXPECT_THAT(RefusalAfter([](NamedTensors& tensors) { tensors["a"] = tensors["a"].to(at::kHalf); }),
              AllOf(HasSubstr("F32 [3, 4]"), HasSubstr("F16 [3, 4]")));
}

TEST_F(BadCheckpointsTest, NumbersThatAreNotFiniteAreNamed) {
  EXPECT_THAT(RefusalAfter([](NamedTensors& tensors) { tensors["b"][3] = std::numeric_limits<float>::quiet_NaN(); }),
              AllOf(HasSubstr("step-20"), HasSubstr("\"b\""), HasSubstr("nan"), HasSubstr("element 3")));
  EXPECT_THAT(RefusalAfter([](NamedTensors& tensors) { tensors["a"][0][1] = -std::numeric_limits<float>::infinity(); }),
              AllOf(HasSubstr("\"a\""), HasSubstr("-inf"), HasSubstr("element 1")));
  EXPECT_THAT(RefusalAfter([](NamedTensors& tensors) {
                tensors["norm.running_mean"][1] = std::numeric_limits<float>::quiet_NaN();
              }),
              HasSubstr("running_mean"));
}

TEST_F(BadCheckpointsTest, ADifferenceThatOverflowsFloat16IsNamed) {
  NamedTensors tensors = ToyTensors(2);
  tensors["b"][2] = 65519.0 - 5.7;  // minus the base, -5.7: just below what rounds to infinity
  folder_.Write(CheckpointFolder::NameOf(2), tensors);
  PackOptions options = folder_.Options();
  options.storage = StorageType::kFloat16;
  EXPECT_EQ(RefusalOf(options), "");
  fs::remove_all(folder_.output());
  tensors["b"][2] = 65521.0 - 5.7;
  folder_.Write(CheckpointFolder::NameOf(2), tensors);
  EXPECT_THAT(RefusalOf(options), AllOf(HasSubstr("step-20"), HasSubstr("\"b\""), HasSubstr("bf16")));
  options.storage = StorageType::kBFloat16;
  EXPECT_EQ(RefusalOf(options), "");
}

TEST_F(BadCheckpointsTest, ADamagedCheckpointIsRefusedBeforeAnythingIsWritten) {
  const auto path = folder_ / "ckpt" / CheckpointFolder::NameOf(2);
  const std::string bytes = ReadBytes(path);
  WriteBytes(path, bytes.substr(0, bytes.size() - 4));
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("step-20"), HasSubstr("truncated")));
  EXPECT_FALSE(fs::exists(folder_.output()));
}

TEST_F(BadCheckpointsTest, TooFewFilesAreRefused) {
  PackOptions options = folder_.Options();
  options.checkpoints = (folder_ / "ckpt" / "none*").string();
  EXPECT_THAT(RefusalOf(options), HasSubstr("no file matches"));
  options.checkpoints = (folder_ / "ckpt" / "step-20*").string();
  EXPECT_THAT(RefusalOf(options), HasSubstr("at least 2"));
}

TEST_F(BadCheckpointsTest, MissingAndEqualStepsAreRefused) {
  folder_.Write("other-20.safetensors", 2);
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("other-20"), HasSubstr("step-20"), HasSubstr("different steps")));
  fs::remove(folder_ / "ckpt" / "other-20.safetensors");
  folder_.Write("last.safetensors", 3);
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("last.safetensors"), HasSubstr("training step")));
}

TEST_F(BadCheckpointsTest, AFolderOrFileOfSomethingElseIsNotTouched) {
  fs::create_directory(folder_.output());
  WriteBytes(folder_.output() / "thesis.tex", "precious");
  EXPECT_THAT(Refusal(), HasSubstr("thesis.tex"));
  fs::remove_all(folder_.output());
  WriteBytes(folder_.output(), "a file");
  EXPECT_THAT(Refusal(), HasSubstr("found a file"));
}

TEST_F(BadCheckpointsTest, TheNetworkMustBeKnownAndOne) {
  const auto path = folder_ / "ckpt" / CheckpointFolder::NameOf(2);
  WriteSafetensors(path, ToyTensors(2), {{"config", R"({"model_type":"other"})"}});
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("step-20"), HasSubstr("toy"), HasSubstr("other")));
  PackOptions options = folder_.Options();
  for (const int i : {0, 1, 2}) WriteSafetensors(folder_ / "ckpt" / CheckpointFolder::NameOf(i), ToyTensors(i));
  EXPECT_THAT(RefusalOf(options), HasSubstr("--network"));
  options.network = folder_ / "net.json";
  EXPECT_THAT(RefusalOf(options), HasSubstr("net.json"));
  WriteBytes(*options.network, "{");
  EXPECT_THAT(RefusalOf(options), HasSubstr("JSON object"));
  WriteBytes(*options.network, R"({"model_type":"toy"})");
  EXPECT_EQ(RefusalOf(options), "");
}

TEST_F(BadCheckpointsTest, WrongOptionsAreNamed) {
  PackOptions options = folder_.Options();
  options.shard_elements = 0;
  EXPECT_THAT(MessageOf<ConfigError>([&] { Pack(options); }), HasSubstr("shard_elements"));
  options = folder_.Options();
  options.segment_checkpoints = 1;
  EXPECT_THAT(MessageOf<ConfigError>([&] { Pack(options); }), HasSubstr("segment_checkpoints"));
  options = folder_.Options();
  options.buffers_regex = "(";
  EXPECT_THAT(MessageOf<ConfigError>([&] { Pack(options); }), HasSubstr("regular expression"));
  EXPECT_THROW(StorageTypeFromName("f8"), ConfigError);
}

class BadAppendTest : public BadCheckpointsTest {
 protected:
  BadAppendTest() { digest_ = folder_.PackAll().trajectory.Digest(); }
  ~BadAppendTest() override { EXPECT_EQ(ReadTrajectory(folder_.output()).Digest(), digest_); }

  std::string digest_;
};

TEST_F(BadAppendTest, AChangedCheckpointIsRefused) {
  folder_.Write(CheckpointFolder::NameOf(1), 8);
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("step-10."), HasSubstr("changed")));
}

TEST_F(BadAppendTest, AStepBeforeTheLastIsRefused) {
  folder_.Write("step-15.safetensors", 1);
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("step-15"), HasSubstr("after 20")));
}

TEST_F(BadAppendTest, AnotherStorageNetworkOrTensorListIsRefused) {
  PackOptions options = folder_.Options();
  options.storage = StorageType::kFloat16;
  EXPECT_THAT(RefusalOf(options), AllOf(HasSubstr("f32"), HasSubstr("f16")));
  options = folder_.Options();
  options.buffers_regex = "ema";
  EXPECT_THAT(RefusalOf(options), AllOf(HasSubstr("running_mean"), HasSubstr("\"ema\"")));
  options = folder_.Options();
  options.network = folder_ / "net.json";
  WriteBytes(*options.network, R"({"model_type":"other"})");
  EXPECT_THAT(RefusalOf(options), AllOf(HasSubstr("toy"), HasSubstr("other")));
  NamedTensors tensors = ToyTensors(3);
  tensors["b"] = at::ones({6});
  folder_.Write("step-30.safetensors", tensors);
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("step-30"), HasSubstr("x.traj"), HasSubstr("[6]")));
}

}  // namespace
}  // namespace lcsc
