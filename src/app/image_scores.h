// Files of per-image scores, so that two runs over the same samples can be compared image by image.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lcsc/config/evaluation_options.h"

namespace lcsc {

// What two sets of scores must share to be comparable: "seed" (null for given images), "num_samples", "scorer_digest",
// "conditioning_digest".
nlohmann::json ScoreFacts(const EvaluationOptions& options, bool are_samples);

// .safetensors with `scores`, float32 [n], in the order of the samples, and the facts as JSON in __metadata__.lcsc.
// Published atomically.
void WriteImageScores(const std::filesystem::path& path, const at::Tensor& scores, const nlohmann::json& facts);

// Throws InputError that names the first fact which differs.
at::Tensor ReadImageScores(const std::filesystem::path& path, const nlohmann::json& facts);

// The share of images whose score is higher than the baseline's; a tie counts half. Both float32 [n].
double WinRate(const at::Tensor& scores, const at::Tensor& baseline);

}  // namespace lcsc
