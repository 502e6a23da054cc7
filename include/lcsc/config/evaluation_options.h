// [evaluation]: what a score is. Every option but the paths' spelling is part of a score's identity.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lcsc/config/extractor_options.h"
#include "lcsc/config/option_set.h"

namespace lcsc {

struct EvaluationOptions {
  std::string trajectory;
  std::string extractor;
  ExtractorOptions extraction;
  std::string reference;
  // What to do with a reference made with another protocol or extractor: refuse, allow
  std::string reference_mismatch = "refuse";
  std::int64_t num_samples = 10000;
  std::int64_t seed = 1;
  std::int64_t batch_size = 250;
  std::string sampler = "consistency";
  std::int64_t steps = 18;
  std::vector<double> consistency_sigmas;
  std::vector<double> ts;
  double sigma_min = 0.002;
  double sigma_max = 80;
  double rho = 7;
  double s_churn = 0;
  double s_min = 0;
  double s_max = 1e6;
  double s_noise = 1;
  double eta = 0;
  std::string method = "singlestep";
  std::int64_t order = 3;
  std::string skip = "time_uniform";
  std::string lower_order_final = "on";
  std::string denoise_to_zero = "off";
  std::string quantisation = "openai";  // "none", which no option gives: for comparisons with derivatives
  std::string precision = "float32";
  std::string conditioning;
  std::string objective = "fid";
  std::string scorer;
};

void AddEvaluationOptions(OptionSet& set, EvaluationOptions& options);
// Those of them that say how images are drawn.
void AddSamplerOptions(OptionSet& set, EvaluationOptions& options);
// The part of it that says what is measured of the images: objective, scorer; and what they are conditioned on.
void AddObjectiveOptions(OptionSet& set, EvaluationOptions& options);

}  // namespace lcsc
