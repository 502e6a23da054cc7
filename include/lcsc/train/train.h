// `lcsc train`: (a) the feature network, (b) a diffusion model, (c) a consistency model tuned from it, which saves the
// checkpoints that a search combines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "lcsc/config/train_options.h"

namespace lcsc {

enum class TrainOutcome { kFinished, kInterrupted };

struct StageReport {
  std::string title;
  std::int64_t iterations = 0;  // done by this call; 0 when an earlier one had finished the stage
  double seconds = 0;
  double loss = 0;  // mean over the last iterations
};

struct TrainReport {
  TrainOutcome outcome = TrainOutcome::kFinished;
  std::vector<StageReport> stages;  // those that were reached, in order
  double classifier_accuracy = 0;   // of the feature network on the images it was trained on
  std::int64_t num_parameters = 0;  // of the denoiser
  std::filesystem::path extractor, diffusion, checkpoints;
};

// Writes into the output folder:
//   train.json                           the options, the network and the images' digest that all else belongs to
//   extractor.safetensors                (a)
//   diffusion.safetensors                (b)
//   checkpoints/step-NNNNNN.safetensors  (c): K files, `checkpoint_interval` iterations apart, the last after the last
//                                        iteration; raw weights, no moving average
//   state.safetensors                    while a stage is unfinished
// Every weights file has the network JSON in `__metadata__.config` and the iterations in `__metadata__.step`.
// Stops between two iterations when StopRequested(): the outcome is kInterrupted, and the same call continues there.
// What is finished is not repeated. Sets the number of LibTorch's threads, and its generator's seed.
// Throws ConfigError when an option is out of place, or differs from that of the output folder's content (names the key
// and both values); InputError for bad images, network JSON or files in the folder; IoError.
TrainReport Train(const TrainOptions& options);

// The steps that are saved: ascending, the last is tuning_iterations. Throws ConfigError when the window does not fit.
std::vector<std::int64_t> CheckpointSteps(const TrainOptions& options);

}  // namespace lcsc
