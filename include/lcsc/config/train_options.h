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
};

void AddTrainOptions(OptionSet& set, TrainOptions& options);

}  // namespace lcsc
