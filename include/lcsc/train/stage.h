// One stage of a training: the loop that every stage shares.
#pragma once

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace lcsc {

struct Stage {
  std::string name;   // "diffusion": names its state
  std::string title;  // of the progress bar
  std::int64_t iterations = 0;
  // Of the i-th iteration, i = 0 .. iterations - 1. What they return depends on i and the weights alone.
  std::function<double(std::int64_t iteration)> learning_rate;
  std::function<at::Tensor(std::int64_t iteration)> loss;
  // Called after every iteration with the number of iterations finished.
  std::function<void(std::int64_t iterations)> after_iteration = [](std::int64_t) {};
};

struct StateFile {
  std::filesystem::path path;
  double save_interval_s = 30;
};

struct StageResult {
  bool finished = false;        // false: a stop was requested, and the state is saved
  std::int64_t iterations = 0;  // done by this call
  double loss = 0;              // mean over the last iterations; 0 when none was left to do
};

// Trains the network from the saved state, or from its present weights when the file has none of this stage, until the
// last iteration or until StopRequested(). Saves the state when stopped and every save_interval_s.
// Resumed equals uninterrupted, bit for bit, with the same number of threads.
// Throws ConfigError when the loss becomes infinite or NaN, InputError for a damaged state, IoError.
StageResult RunStage(torch::nn::Module& network, const Stage& stage, const StateFile& state_file);

}  // namespace lcsc
