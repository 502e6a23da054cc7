// Distances and angles between merged networks.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "lcsc/store/trajectory.h"

namespace lcsc {

// <theta(a_i) - theta(o), theta(a_j) - theta(o)> over all merged weights, summed in float64.
//   origin: o, [K]; points: a_i, [K] each, n of them. Returns float64 [n, n].
// Of LoRA checkpoints the weights are those of the network with its updates, not the factors. Reads the trajectory
// once; memory: n + 1 networks in float32, and of full checkpoints what `budget_bytes` allows of the trajectory at a
// time. Throws InputError when a shard is damaged. Threads: LibTorch's.
at::Tensor DifferenceProducts(const Trajectory& trajectory, const std::vector<double>& origin,
                              const std::vector<std::vector<double>>& points,
                              std::int64_t budget_bytes = std::int64_t{1} << 30);

}  // namespace lcsc
