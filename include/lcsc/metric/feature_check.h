// What every metric asks of the features that it is given.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>

namespace lcsc {

// What a message calls the features ("reference features", "F.safetensors: features") and how many rows it needs.
struct FeatureDemand {
  std::string what;
  std::int64_t min_rows = 1;
};

// Throws MetricError unless the features are finite numbers of a floating-point type, of shape [n, d], d >= 1 and
// n >= min_rows; the message names the first element that is not finite. Bounded memory.
void CheckFeatures(const at::Tensor& features, const FeatureDemand& demand);

// The generated side of a comparison with a reference that was checked before, of so many features.
struct GeneratedDemand {
  std::int64_t min_rows = 1;
  std::int64_t reference_dim = 1;
};
void CheckGenerated(const at::Tensor& generated, const GeneratedDemand& demand);

}  // namespace lcsc
