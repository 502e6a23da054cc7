// [evaluation]: what a score is. Every option but the paths' spelling is part of a score's identity.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lcsc/config/option_set.h"

namespace lcsc {

struct EvaluationOptions {
  std::string trajectory;
  std::string extractor;
  std::string reference;
  std::int64_t num_samples = 10000;
  std::int64_t seed = 1;
  std::int64_t batch_size = 250;
  std::string sampler = "consistency";
  std::int64_t steps = 18;
  std::vector<double> consistency_sigmas;
  double sigma_min = 0.002;
  double sigma_max = 80;
  double rho = 7;
  std::string quantisation = "openai";
};

void AddEvaluationOptions(OptionSet& set, EvaluationOptions& options);

}  // namespace lcsc
