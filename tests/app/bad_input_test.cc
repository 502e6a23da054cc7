// What a user can get wrong: each is refused with one message that names the culprit, and nothing is half-written.
#include <bit>

#include "app/tiny_project.h"
#include "support/disk_full.h"

namespace lcsc {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class BadInputTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { project_ = new TinyProject; }
  static void TearDownTestSuite() { delete project_; }

  static std::string Path(const std::string& name) { return project_->Path(name); }

  // The exit code, exactly one message, and the words in it.
  static void ExpectRefused(const Arguments& command, const std::vector<std::string>& words, int exit_code = 2) {
    const CommandResult result = RunCommand(command);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    const std::string prefix = "lcsc: error: ";
    const std::size_t message = result.err.find(prefix);
    ASSERT_NE(message, std::string::npos) << result.err;
    EXPECT_EQ(result.err.find(prefix, message + 1), std::string::npos) << result.err;
    const std::string line = result.err.substr(message, result.err.find('\n', message) - message);
    for (const std::string& word : words) EXPECT_THAT(line, HasSubstr(word));
    EXPECT_EQ(result.out, "");
  }

  // The search is refused alone and under mpirun, and leaves no population and no config behind.
  static void ExpectSearchRefused(const Arguments& more, const std::vector<std::string>& words) {
    ExpectRefused(Lcsc(project_->Search("refused", more)), words);
    ExpectRefused(MpiLcsc(3, project_->Search("refused", more)), words);
    ExpectNothingIn(Path("refused"));
  }

  static void ExpectNothingIn(const std::string& folder) {
    EXPECT_TRUE(!fs::exists(folder) || fs::is_empty(folder)) << folder;
  }

  // A folder of its own with the checkpoints of which the second was changed; packing them is refused.
  static void ExpectPackRefused(const std::function<void(const fs::path& second)>& change,
                                const std::vector<std::string>& words) {
    const TempFolder folder;
    for (int i = 0; i < 3; ++i) fs::copy(project_->CheckpointPath(i), folder.path());
    const fs::path second = folder / fs::path(project_->CheckpointPath(1)).filename().string();
    change(second);
    ExpectRefused(Lcsc({"pack", "--checkpoints", folder / "*.safetensors", "--output", folder / "out.traj"}),
                  words + Arguments{second.filename().string()});
    ExpectNothingIn(folder / "out.traj");
  }

  static void Rewrite(const fs::path& checkpoint, const std::function<void(NamedTensors&)>& change) {
    NamedTensors tensors = ReadSafetensors(checkpoint);
    change(tensors);
    WriteSafetensors(checkpoint, tensors, SafetensorsFile(checkpoint).metadata());
  }

  // A copy of the trajectory of which the first shard file was changed.
  static std::string ChangedTrajectory(const std::string& name, const std::function<void(std::string&)>& change) {
    fs::copy(Path("f32.traj"), Path(name));
    for (const auto& entry : fs::directory_iterator(Path(name))) {
      if (!entry.path().filename().string().starts_with("shard")) continue;
      std::string bytes = ReadBytes(entry.path());
      change(bytes);
      WriteBytes(entry.path(), bytes);
    }
    return Path(name);
  }

  static TinyProject* project_;
};
TinyProject* BadInputTest::project_ = nullptr;

TEST_F(BadInputTest, MissingCheckpoints) {
  ExpectRefused(Lcsc({"pack", "--checkpoints", Path("none/*.safetensors"), "--output", Path("none.traj")}),
                {"no file matches", Path("none/*.safetensors")});
  EXPECT_FALSE(fs::exists(Path("none.traj")));
}

TEST_F(BadInputTest, ATruncatedCheckpoint) {
  ExpectPackRefused([](const fs::path& second) { fs::resize_file(second, fs::file_size(second) / 2); }, {});
}

TEST_F(BadInputTest, ACheckpointThatChangedSinceItWasPacked) {
  const TempFolder folder;
  for (int i = 0; i < 3; ++i) fs::copy(project_->CheckpointPath(i), folder.path());
  const Arguments pack = Lcsc({"pack", "--checkpoints", folder / "*.safetensors", "--output", folder / "out.traj"});
  ASSERT_EQ(RunCommand(pack).exit_code, 0);
  const std::string manifest = ReadBytes(folder / "out.traj/manifest.h5");
  std::string bytes = ReadBytes(folder / "step-20.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  WriteBytes(folder / "step-20.safetensors", bytes);
  ExpectRefused(pack, {"step-20.safetensors", "digest"});
  EXPECT_EQ(ReadBytes(folder / "out.traj/manifest.h5"), manifest);
}

TEST_F(BadInputTest, CheckpointsOfOtherNames) {
  ExpectPackRefused(
      [](const fs::path& second) {
        Rewrite(second, [](NamedTensors& tensors) {
          auto node = tensors.extract(tensors.begin());
          node.key() += ".renamed";
          tensors.insert(std::move(node));
        });
      },
      {"tensor", "expected"});
}

TEST_F(BadInputTest, CheckpointsOfOtherShapes) {
  const std::string name = ReadSafetensors(project_->CheckpointPath(0)).begin()->first;
  ExpectPackRefused(
      [](const fs::path& second) {
        Rewrite(second, [](NamedTensors& tensors) { tensors.begin()->second = at::zeros({3, 7}); });
      },
      {name, "[3, 7]"});
}

TEST_F(BadInputTest, CheckpointsOfOtherTypes) {
  const std::string name = ReadSafetensors(project_->CheckpointPath(0)).begin()->first;
  ExpectPackRefused(
      [](const fs::path& second) {
        Rewrite(second,
                [](NamedTensors& tensors) { tensors.begin()->second = tensors.begin()->second.to(at::kDouble); });
      },
      {name, "F32", "F64"});
}

TEST_F(BadInputTest, NaNInACheckpoint) {
  const std::string name = ReadSafetensors(project_->CheckpointPath(0)).begin()->first;
  ExpectPackRefused(
      [](const fs::path& second) {
        Rewrite(second, [](NamedTensors& tensors) { tensors.begin()->second.flatten()[1] = std::nanf(""); });
      },
      {name, "expected finite numbers, found nan"});
}

TEST_F(BadInputTest, AMissingTrajectory) {
  ExpectSearchRefused({"--set", "evaluation.trajectory=" + Path("no.traj")}, {Path("no.traj"), "lcsc pack"});
}

TEST_F(BadInputTest, ATruncatedTrajectory) {
  const std::string short_one =
      ChangedTrajectory("short.traj", [](std::string& bytes) { bytes.resize(bytes.size() / 2); });
  ExpectSearchRefused({"--set", "evaluation.trajectory=" + short_one}, {short_one});
}

TEST_F(BadInputTest, ADamagedTrajectory) {
  const std::string damaged = ChangedTrajectory("damaged.traj", [](std::string& bytes) {
    bytes[bytes.size() - 100] = static_cast<char>(bytes[bytes.size() - 100] ^ 1);
  });
  ExpectSearchRefused({"--set", "evaluation.trajectory=" + damaged}, {damaged, "digest"});
  ExpectRefused(MpiLcsc(3, project_->Search(
                               "refused", {"--set", "evaluation.trajectory=" + damaged, "--set", "run.group_size=2"})),
                {damaged, "digest"});
  ExpectRefused(Lcsc({"inspect", damaged, "--verify"}), {damaged, "digest"});
}

TEST_F(BadInputTest, AShardThatIsGone) {
  fs::copy(Path("f32.traj"), Path("gone.traj"));
  for (const auto& entry : fs::directory_iterator(Path("gone.traj"))) {
    if (entry.path().filename() != "manifest.h5") fs::remove(entry.path());
  }
  ExpectSearchRefused({"--set", "evaluation.trajectory=" + Path("gone.traj")}, {Path("gone.traj"), "shard"});
}

TEST_F(BadInputTest, AMisspeltOption) {
  ExpectRefused(Lcsc({"search", "--confg", "x"}), {"'--confg'", "did you mean '--config'?"});
  ExpectRefused(Lcsc({"search", "-c", "x"}), {"unknown option '-c'"});
  ExpectRefused(Lcsc({"serch"}), {"'serch'", "did you mean 'search'?"});
  ExpectSearchRefused({"--set", "search.epoch=3"}, {"'search.epoch'", "did you mean 'search.epochs'?"});
  WriteBytes(Path("misspelt.ini"), "[evaluation]\nnum_sample = 3\n");
  ExpectRefused(Lcsc({"search", "--config", Path("misspelt.ini")}),
                {Path("misspelt.ini"), "'evaluation.num_sample'", "did you mean 'evaluation.num_samples'?"});
}

TEST_F(BadInputTest, AnArgumentThatNobodyAskedFor) {
  ExpectRefused(Lcsc({"status", Path("run"), "more"}), {"more"});
  ExpectRefused(Lcsc(project_->Search("refused", {"more"})), {"more"});
}

TEST_F(BadInputTest, AConfigFileThatIsMissing) {
  ExpectRefused(Lcsc({"search", "--config", Path("no.ini")}), {"--config", Path("no.ini")});
}

TEST_F(BadInputTest, AValueThatIsMissing) {
  ExpectRefused(Lcsc({"search", "--config", Path("search.ini")}), {"run.directory"});
  ExpectRefused(Lcsc({"merge", "--run", Path("run")}), {"--output"});
}

TEST_F(BadInputTest, AValueOutOfRange) {
  ExpectSearchRefused({"--set", "search.crossover_rate=1.5"}, {"search.crossover_rate", "in [0, 1]", "'1.5'"});
  ExpectRefused(Lcsc(project_->Search("refused", {"--set", "evaluation.num_samples=few"})),
                {"evaluation.num_samples", "a whole number", "'few'"});
  ExpectRefused(Lcsc(project_->Search("refused", {"--set", "evaluation.sampler=karras-hein"})),
                {"evaluation.sampler", "did you mean 'karras-heun'?"});
}

TEST_F(BadInputTest, ARunThatIsNone) {
  ExpectRefused(Lcsc({"status", Path("nowhere")}), {Path("nowhere"), "no such folder"});
  ExpectRefused(Lcsc({"status", Path("models")}), {Path("models"), "population.h5"});
}

TEST_F(BadInputTest, ARunOfAnotherTrajectory) {
  ASSERT_EQ(RunCommand(Lcsc(project_->Search("run-of-f32"))).exit_code, 0);
  project_->Pack("f16", "f16.traj");
  const Arguments other = {"--set", "evaluation.trajectory=" + Path("f16.traj")};
  const std::string population = ReadBytes(Path("run-of-f32/population.h5"));
  const std::string config = ReadBytes(Path("run-of-f32/config.ini"));
  ExpectRefused(MpiLcsc(3, project_->Search("run-of-f32", other)), {Path("run-of-f32"), "evaluation.trajectory"});
  EXPECT_EQ(ReadBytes(Path("run-of-f32/population.h5")), population);
  EXPECT_EQ(ReadBytes(Path("run-of-f32/config.ini")), config);
  const Arguments run = {"--run", Path("run-of-f32"), "--output", Path("x.safetensors")};
  ExpectRefused(Lcsc(Arguments{"merge", "--trajectory", Path("f16.traj")} + run), {Path("f16.traj"), "digest"});
  EXPECT_FALSE(fs::exists(Path("x.safetensors")));
  ExpectRefused(Lcsc(Arguments{"baselines", Path("run-of-f32")} + other),
                {Path("run-of-f32"), "digest of evaluation.trajectory"});
}

TEST_F(BadInputTest, BaselinesUnderOtherOptionsThanTheRuns) {
  ASSERT_EQ(RunCommand(Lcsc(project_->Search("run-for-baselines"))).exit_code, 0);
  const Arguments other = {"--set", "evaluation.num_samples=31"};
  ExpectRefused(Lcsc(Arguments{"baselines", Path("run-for-baselines")} + other),
                {Path("run-for-baselines"), "evaluation.num_samples", "'31'"});
}

// With the snapshot before it, it is replaced: damage_test.cc.
TEST_F(BadInputTest, ADamagedPopulation) {
  ASSERT_EQ(RunCommand(Lcsc(project_->Search("damaged-run"))).exit_code, 0);
  const std::string population = Path("damaged-run/population.h5");
  fs::resize_file(population, fs::file_size(population) / 2);
  fs::remove(Path("damaged-run/population.prev.h5"));
  ExpectRefused(Lcsc({"status", Path("damaged-run")}), {population});
  ExpectRefused(MpiLcsc(3, project_->Search("damaged-run")), {population});
}

TEST_F(BadInputTest, AFullDisk) {
  const std::string run = Path("full-disk");
  ASSERT_EQ(RunCommand(Lcsc(project_->Search("full-disk"))).exit_code, 0);
  const std::string population = ReadBytes(run + "/population.h5");
  {
    const DiskFull full(6000);
    ExpectRefused(Lcsc(project_->Search("full-disk", {"--set", "search.epochs=9"})), {"population.h5"}, 4);
  }
  EXPECT_EQ(ReadBytes(run + "/population.h5"), population);
  for (const auto& entry : fs::directory_iterator(run)) {
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos) << entry.path();
  }
  EXPECT_EQ(RunCommand(Lcsc(project_->Search("full-disk", {"--set", "search.epochs=4"}))).exit_code, 0);
}

TEST_F(BadInputTest, NoWorkers) {
  ExpectRefused(MpiLcsc(3, project_->Search("refused", {"--set", "run.group_size=3"})), {"run.group_size", "3", "2"});
  ExpectRefused(Lcsc(project_->Search("refused", {"--set", "run.group_size=2"})), {"run.group_size", "mpirun"});
  ExpectRefused(Lcsc(project_->Search("refused", {"--set", "run.group_size=-1"})),
                {"run.group_size", "[0, 100000]", "'-1'"});
  ExpectNothingIn(Path("refused"));
}

// In every build, and on machines with GPUs too: they are hidden.
TEST_F(BadInputTest, GpusThatAreNotThere) {
  ASSERT_EQ(setenv("CUDA_VISIBLE_DEVICES", "", 1), 0);
  const Arguments nccl = {"--set", "run.collective=nccl", "--set", "run.group_size=2"};
  ExpectRefused(MpiLcsc(3, project_->Search("refused", nccl)), {"run.collective = nccl", "auto"});
  ExpectRefused(Lcsc(project_->Search("refused", {"--set", "run.collective=nccl"})), {"run.collective = nccl"});
  ExpectRefused(Lcsc(project_->Search("refused", {"--set", "run.merge=cuda"})),
                {"run.merge = cuda", "run.merge = cpu"});
  unsetenv("CUDA_VISIBLE_DEVICES");
  ExpectNothingIn(Path("refused"));
}

TEST_F(BadInputTest, MoreRanksThanBatches) {
  ExpectRefused(
      MpiLcsc(5, project_->Search("refused", {"--set", "run.group_size=4", "--set", "evaluation.batch_size=30"})),
      {"60 samples", "2 batches", "4 ranks"});
  const Arguments evaluate = {"evaluate",     "--weights", project_->CheckpointPath(0), "--config", Path("search.ini"),
                              "--batch-size", "60"};
  ExpectRefused(MpiLcsc(2, evaluate), {"60 samples", "1 batches", "2 ranks"});
  ExpectNothingIn(Path("refused"));
}

TEST_F(BadInputTest, AReferenceOfAnotherDimension) {
  WriteReference(Path("five.npz"), {{at::zeros({5}, at::kDouble), at::eye(5, at::kDouble)}, ""});
  ExpectSearchRefused({"--set", "evaluation.reference=" + Path("five.npz")}, {Path("five.npz"), "6", "5"});
}

TEST_F(BadInputTest, FilesThatAreMissing) {
  ExpectSearchRefused({"--set", "evaluation.extractor=" + Path("no.safetensors")}, {Path("no.safetensors")});
  ExpectSearchRefused({"--set", "evaluation.reference=" + Path("no.npz")}, {Path("no.npz")});
}

}  // namespace
}  // namespace lcsc
