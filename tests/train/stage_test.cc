#include "lcsc/train/stage.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

#include "lcsc/base/error.h"
#include "lcsc/base/stop_signal.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

struct Weights : torch::nn::Module {
  Weights() : w(register_parameter("w", at::linspace(-1, 1, 5))) {}
  at::Tensor& w;
};

class StageTest : public testing::Test {
 protected:
  ~StageTest() override { SetStopRequested(false); }

  // Its loss depends on the iteration, as that of a training with batches does.
  Stage StageOf(Weights& network) {
    return {
        .name = "diffusion",
        .title = "test",
        .iterations = 20,
        .learning_rate = [](std::int64_t i) { return 0.1 / static_cast<double>(1 + i); },
        .loss = [&network](std::int64_t i) { return (network.w - std::sin(static_cast<double>(i))).square().sum(); }};
  }
  StateFile SavedNever() const { return {.path = folder_ / "state", .save_interval_s = 1e9}; }

  at::Tensor Uninterrupted() {
    Weights network;
    EXPECT_TRUE(
        RunStage(network, StageOf(network), {.path = folder_ / "other-state", .save_interval_s = 1e9}).finished);
    return network.w.detach().clone();
  }

  TempFolder folder_;
};

TEST_F(StageTest, ReducesTheLoss) {
  Weights network;
  Stage stage = StageOf(network);
  stage.iterations = 200;
  stage.loss = [&](std::int64_t) { return network.w.square().sum(); };
  stage.learning_rate = [](std::int64_t) { return 0.02; };
  const StageResult result = RunStage(network, stage, SavedNever());
  EXPECT_EQ(result.iterations, 200);
  EXPECT_LT(network.w.square().sum().item<double>(), 0.01);  // 2.5 at first
  EXPECT_LT(result.loss, 2.5);
  EXPECT_GT(result.loss, 0);
}

TEST_F(StageTest, StopsBetweenIterationsAndResumesBitForBit) {
  Weights network;
  Stage stage = StageOf(network);
  stage.after_iteration = [](std::int64_t done) { SetStopRequested(done == 7); };
  const StageResult stopped = RunStage(network, stage, SavedNever());
  EXPECT_FALSE(stopped.finished);
  EXPECT_EQ(stopped.iterations, 7);

  SetStopRequested(false);
  Weights fresh;
  const StageResult resumed = RunStage(fresh, StageOf(fresh), SavedNever());
  EXPECT_TRUE(resumed.finished);
  EXPECT_EQ(resumed.iterations, 13);
  EXPECT_TRUE(fresh.w.equal(Uninterrupted()));
}

TEST_F(StageTest, ResumesFromThePeriodicSaveAfterACrash) {
  Weights network;
  Stage stage = StageOf(network);
  stage.after_iteration = [](std::int64_t done) {
    if (done == 9) throw std::runtime_error("the machine is gone");
  };
  EXPECT_THROW(RunStage(network, stage, {.path = folder_ / "state", .save_interval_s = 0}), std::runtime_error);

  Weights fresh;
  const StageResult resumed = RunStage(fresh, StageOf(fresh), SavedNever());
  EXPECT_EQ(resumed.iterations, 12);
  EXPECT_TRUE(fresh.w.equal(Uninterrupted()));
}

TEST_F(StageTest, DoesNotContinueFromTheStateOfAnotherStage) {
  Weights network;
  Stage stage = StageOf(network);
  stage.name = "classifier";
  stage.after_iteration = [](std::int64_t) { SetStopRequested(true); };
  RunStage(network, stage, SavedNever());
  SetStopRequested(false);
  Weights fresh;
  EXPECT_EQ(RunStage(fresh, StageOf(fresh), SavedNever()).iterations, 20);
}

TEST_F(StageTest, NamesTheOptionWhenTheLossIsNotFinite) {
  Weights network;
  Stage stage = StageOf(network);
  stage.loss = [&](std::int64_t i) { return network.w.sum() / (i < 3 ? 1.0 : 0.0); };
  const std::string message = MessageOf<ConfigError>([&] { RunStage(network, stage, SavedNever()); });
  EXPECT_NE(message.find("train.diffusion_learning_rate"), std::string::npos) << message;
  EXPECT_NE(message.find("iteration 3"), std::string::npos) << message;
}

}  // namespace
}  // namespace lcsc
