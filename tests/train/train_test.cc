#include "lcsc/train/train.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "lcsc/base/error.h"
#include "lcsc/base/stop_signal.h"
#include "lcsc/io/npz.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/model/registry.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class TrainTest : public testing::Test {
 protected:
  TrainTest() {
    options_.images = std::string(LCSC_SOURCE_DIR) + "/configs/data/digits.csv.gz";
    options_.network = folder_ / "network.json";
    options_.output = folder_ / "output";
    options_.batch_size = 8;
    options_.classifier_iterations = 6;
    options_.diffusion_iterations = 6;
    options_.tuning_iterations = 9;
    options_.tuning_d = 3;
    options_.checkpoints = 3;
    options_.checkpoint_interval = 2;
    WriteNetwork(8);
  }
  ~TrainTest() override { SetStopRequested(false); }

  // With dropout, so that the masks have to come back too.
  void WriteNetwork(int resolution) {
    WriteBytes(options_.network, fmt::format(R"({{"model_type": "SongUNet", "precond": "EDMPrecond", "dropout": 0.2,
      "img_resolution": {}, "img_channels": 1, "model_channels": 8, "channel_mult": [1], "num_blocks": 1,
      "attn_resolutions": []}})",
                                             resolution));
  }
  fs::path Output(const std::string& name) const { return fs::path(options_.output) / name; }

  TempFolder folder_;
  TrainOptions options_;
};

std::vector<std::string> NamesIn(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

TEST_F(TrainTest, SavesEveryCheckpointOfTheWindowWithItsStepAndNetwork) {
  const TrainReport report = Train(options_);
  EXPECT_EQ(report.outcome, TrainOutcome::kFinished);
  EXPECT_THAT(NamesIn(report.checkpoints),
              ElementsAre("step-000005.safetensors", "step-000007.safetensors", "step-000009.safetensors"));
  const SafetensorsFile file(report.checkpoints / "step-000007.safetensors");
  EXPECT_EQ(file.metadata().at("step"), "7");
  EXPECT_EQ(NetworkConfigOf(file).at("model_channels"), 8);
  EXPECT_EQ(LoadDenoiser(file.path())->img_resolution(), 8);
  EXPECT_THAT(NamesIn(options_.output),
              ElementsAre("checkpoints", "diffusion.safetensors", "extractor.safetensors", "train.json"));
}

TEST_F(TrainTest, TrainsAFeatureNetworkThatKnowsTheDigits) {
  options_.classifier_iterations = 150;
  options_.batch_size = 32;
  const TrainReport report = Train(options_);
  EXPECT_GT(report.classifier_accuracy, 0.9);
  EXPECT_EQ(LoadFeatureExtractor(report.extractor)->feature_dim(), options_.feature_dim);
}

TEST_F(TrainTest, ResumesAnyNumberOfTimesWithTheSameCheckpointsBitForBit) {
  const TrainReport uninterrupted = Train(options_);
  options_.output = folder_ / "interrupted";
  int interruptions = 0;
  TrainReport report;
  do {
    SetStopRequested(false);
    const std::jthread stopper([interruptions] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + 10 * interruptions));
      SetStopRequested(true);
    });
    report = Train(options_);
    interruptions += report.outcome == TrainOutcome::kInterrupted ? 1 : 0;
  } while (report.outcome == TrainOutcome::kInterrupted);
  EXPECT_GE(interruptions, 1);
  for (const std::string& name : NamesIn(uninterrupted.checkpoints)) {
    EXPECT_EQ(ReadBytes(report.checkpoints / name), ReadBytes(uninterrupted.checkpoints / name)) << name;
  }
  EXPECT_EQ(ReadBytes(report.extractor), ReadBytes(uninterrupted.extractor));
}

TEST_F(TrainTest, DoesNotRepeatWhatIsFinished) {
  Train(options_);
  fs::remove(Output("checkpoints/step-000009.safetensors"));
  const TrainReport report = Train(options_);
  ASSERT_EQ(report.stages.size(), 3u);
  EXPECT_EQ(report.stages[0].iterations, 0);
  EXPECT_EQ(report.stages[1].iterations, 0);
  EXPECT_EQ(report.stages[2].iterations, 9);
}

TEST_F(TrainTest, AnotherSeedGivesOtherWeights) {
  Train(options_);
  const std::string first = ReadBytes(Output("checkpoints/step-000009.safetensors"));
  options_.output = folder_ / "second";
  options_.seed = 2;
  Train(options_);
  EXPECT_NE(ReadBytes(Output("checkpoints/step-000009.safetensors")), first);
}

TEST_F(TrainTest, RefusesAnotherValueForAnExistingOutput) {
  SetStopRequested(true);
  Train(options_);
  options_.tuning_q = 3.5;
  const std::string message = MessageOf<ConfigError>([&] { Train(options_); });
  EXPECT_THAT(message, HasSubstr("train.tuning_q"));
  EXPECT_THAT(message, HasSubstr("with 2,"));
  EXPECT_THAT(message, HasSubstr("3.5"));
}

TEST_F(TrainTest, AcceptsAnotherSaveIntervalForAnExistingOutput) {
  SetStopRequested(true);
  Train(options_);
  options_.save_interval_s = 1;
  EXPECT_NO_THROW(Train(options_));
}

TEST_F(TrainTest, RefusesANetworkOfAnotherImageSize) {
  WriteNetwork(16);
  const std::string message = MessageOf<ConfigError>([&] { Train(options_); });
  EXPECT_THAT(message, HasSubstr("[1, 16, 16]"));
  EXPECT_THAT(message, HasSubstr("[1, 8, 8]"));
}

TEST_F(TrainTest, RefusesImagesWithoutLabels) {
  options_.images = folder_ / "images.npz";
  WriteNpz(options_.images, {{"arr_0", at::zeros({4, 8, 8, 1}, at::kByte)}});
  EXPECT_THAT(MessageOf<InputError>([&] { Train(options_); }), HasSubstr("no labels"));
}

TEST_F(TrainTest, RefusesAMissingNetworkFile) {
  fs::remove(options_.network);
  EXPECT_THAT(MessageOf<InputError>([&] { Train(options_); }), HasSubstr("network.json"));
}

TEST(CheckpointSteps, EndWithTheLastIteration) {
  TrainOptions options;
  options.tuning_iterations = 100;
  options.checkpoints = 4;
  options.checkpoint_interval = 10;
  EXPECT_THAT(CheckpointSteps(options), ElementsAre(70, 80, 90, 100));
}

TEST(CheckpointSteps, MustFitIntoTheTuning) {
  TrainOptions options;
  options.tuning_iterations = 30;
  options.checkpoints = 4;
  options.checkpoint_interval = 10;
  EXPECT_THAT(MessageOf<ConfigError>([&] { CheckpointSteps(options); }), HasSubstr("train.checkpoint_interval"));
}

}  // namespace
}  // namespace lcsc
