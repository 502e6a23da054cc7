// Merged LoRA checkpoints as LoRA factors again.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "lcsc/io/tensor_file.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {

struct LoraWeights {
  NamedTensors tensors;        // in the checkpoints' own names, float32; alphas say scale 1
  std::string adapter_config;  // peft's adapter_config.json that says the same; "" for other names
  std::int64_t rank = 0;       // the largest of any layer
  // ||dW - B A||_F / ||dW||_F against the exact update dW = sum_i a_i s B_i A_i; 0 when nothing was cut off.
  double worst_error = 0;    // of the worst layer
  std::string worst_layer;   // its tensor in the base model
  double overall_error = 0;  // of all layers together
};

// Without max_rank exact: B = [a_i s B_i], A = [A_i] of the checkpoints whose coefficient is not 0, rank up to K r.
// With it, layers of a higher rank are cut to the best approximation (Eckart and Young 1936) by QR of both factors and
// an SVD of the small core, in double precision; the full matrix is never formed.
// coefficients: [K], a_1 implied by the others. Throws ConfigError when their number is not K or the trajectory holds
// full weights, InputError when a shard is damaged.
LoraWeights CombineLora(const Trajectory& trajectory, std::span<const double> coefficients,
                        const std::optional<std::int64_t>& max_rank);

}  // namespace lcsc
