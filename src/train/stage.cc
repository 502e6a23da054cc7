#include "lcsc/train/stage.h"

#include <chrono>
#include <cmath>
#include <optional>

#include "lcsc/base/error.h"
#include "lcsc/base/log.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/stop_signal.h"
#include "lcsc/train/flat_adam.h"
#include "lcsc/train/training_state.h"

namespace lcsc {
namespace {

using Clock = std::chrono::steady_clock;

// Exponential mean over about the last `kMemory` losses, unbiased from the first on.
class RunningLoss {
 public:
  void Add(double loss) {
    constexpr double kMemory = 100;
    sum_ += (loss - sum_) / kMemory;
    weight_ += (1 - weight_) / kMemory;
  }
  double Mean() const { return weight_ > 0 ? sum_ / weight_ : 0; }

 private:
  double sum_ = 0, weight_ = 0;
};

// The iterations that the saved state has behind it; the optimiser continues from there.
std::int64_t Resume(FlatAdam& optimiser, const Stage& stage, const StateFile& state_file) {
  const std::optional<TrainingState> state = ReadTrainingState(state_file.path);
  if (!state || state->stage != stage.name) return 0;
  optimiser.Restore(state->optimiser, state_file.path.string());
  spdlog::info("{}: resumed at iteration {} of {}", stage.title, state->iterations, stage.iterations);
  return state->iterations;
}

double TakeStep(FlatAdam& optimiser, const Stage& stage, std::int64_t iteration) {
  const at::Tensor loss = stage.loss(iteration);
  const double value = loss.item<double>();
  if (!std::isfinite(value)) {
    throw ConfigError("train.{}_learning_rate: the loss became {} at iteration {}; choose a lower rate", stage.name,
                      value, iteration);
  }
  optimiser.Minimise(loss, stage.learning_rate(iteration));
  return value;
}

}  // namespace

StageResult RunStage(torch::nn::Module& network, const Stage& stage, const StateFile& state_file) {
  FlatAdam optimiser(network);
  const std::int64_t done_before = Resume(optimiser, stage, state_file);
  std::int64_t done = done_before;
  const auto save = [&] { WriteTrainingState(state_file.path, {stage.name, done, optimiser.State()}); };
  Progress progress(
      {.title = stage.title, .unit = "iterations", .total = stage.iterations, .done_before = done_before});
  RunningLoss loss;
  auto last_save = Clock::now();
  while (done < stage.iterations) {
    if (StopRequested()) {
      save();
      return {.finished = false, .iterations = done - done_before, .loss = loss.Mean()};
    }
    loss.Add(TakeStep(optimiser, stage, done++));
    stage.after_iteration(done);
    progress.Update(done, fmt::format("loss {:.4g}", loss.Mean()));
    if (std::chrono::duration<double>(Clock::now() - last_save).count() > state_file.save_interval_s) {
      save();
      last_save = Clock::now();
    }
  }
  return {.finished = true, .iterations = done - done_before, .loss = loss.Mean()};
}

}  // namespace lcsc
