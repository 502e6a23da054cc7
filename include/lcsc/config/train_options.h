// [train]: the digits example's own training: feature network, diffusion model, consistency model.
#pragma once

#include <cstdint>
#include <string>

#include "lcsc/config/option_set.h"

namespace lcsc {

struct TrainOptions {
  std::string images = "configs/data/digits.csv.gz";
  std::string network;  // file with the denoiser's network JSON
  std::string output;   // folder: extractor.safetensors, diffusion.safetensors, checkpoints/step-NNNNNN.safetensors
  std::int64_t seed = 1;
  std::int64_t threads = 0;
  double save_interval_s = 30;
  std::int64_t batch_size = 64;

  std::int64_t feature_dim = 64;
  std::int64_t classifier_iterations = 400;
  double classifier_learning_rate = 2e-3;

  std::int64_t diffusion_iterations = 1500;
  double diffusion_learning_rate = 2e-3;
  double diffusion_p_mean = -1.2;  // P_mean, P_std of Karras et al. 2022, Table 1
  double diffusion_p_std = 1.2;

  std::int64_t tuning_iterations = 2000;
  double tuning_learning_rate = 1e-3;
  double tuning_p_mean = -1.1;  // P_mean, P_std, q, d, k, b of Easy Consistency Tuning, eq. 15
  double tuning_p_std = 2.0;
  double tuning_q = 2;
  std::int64_t tuning_d = 250;
  double tuning_k = 8;
  double tuning_b = 1;
  double tuning_c = 0.05;  // c of eq. 16
  std::int64_t checkpoints = 32;
  std::int64_t checkpoint_interval = 20;
};

void AddTrainOptions(OptionSet& set, TrainOptions& options);

}  // namespace lcsc
