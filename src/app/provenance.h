// What a file of features or statistics says about how it was made.
#pragma once

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
#include <string>

#include "lcsc/config/option_set.h"
#include "lcsc/model/network.h"

namespace lcsc {

// {"protocol", "feature_dim", "extractor_digest", "images_digest", "num_images"}
nlohmann::json ProvenanceOf(const FeatureExtractor& extractor, const std::string& weights, const at::Tensor& images);

// Throws ConfigError when the user gave the flags protocol or tap for an extractor that has neither.
void CheckInceptionOptions(const OptionSet& set, const FeatureExtractor& extractor);

// Throws InputError that names `source` when the extractor does not take such images: it is given the first of them.
void CheckTakes(FeatureExtractor& extractor, const at::Tensor& images, const std::string& source);

}  // namespace lcsc
