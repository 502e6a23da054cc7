#include "lcsc/merge/lora_weights.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "lcsc/base/error.h"
#include "lora_factors.h"

namespace lcsc {
namespace {

// The best approximation of a product by one of a lower rank.
struct Truncated {
  LoraProduct product;
  double squared_error = 0;  // Frobenius
};

Truncated Truncate(const LoraProduct& product, std::int64_t max_rank) {
  const auto [left_q, left_r] = at::linalg_qr(product.left.to(at::kDouble), "reduced");
  const auto [right_q, right_r] = at::linalg_qr(product.right.to(at::kDouble).t(), "reduced");
  const auto [u, values, v] = at::linalg_svd(left_r.mm(right_r.t()), /*full_matrices=*/false);
  const std::int64_t rank = std::min(max_rank, values.size(0));
  const at::Tensor root = values.narrow(0, 0, rank).sqrt();
  const at::Tensor left = left_q.mm(u.narrow(1, 0, rank)) * root;
  const at::Tensor right = root.unsqueeze(1) * v.narrow(0, 0, rank).mm(right_q.t());
  const at::Tensor cut_off = values.narrow(0, rank, values.size(0) - rank);
  return {{left.to(at::kFloat).contiguous(), right.to(at::kFloat).contiguous()}, cut_off.square().sum().item<double>()};
}

// ||L R||_F^2 = trace((L^T L) (R R^T)): small matrices only.
double SquaredNorm(const LoraProduct& product) {
  const at::Tensor left = product.left.to(at::kDouble), right = product.right.to(at::kDouble);
  return std::max(0.0, (left.t().mm(left) * right.mm(right.t())).sum().item<double>());
}

double RelativeError(double squared_error, double squared_norm) {
  return squared_error > 0 ? std::sqrt(squared_error / squared_norm) : 0;
}

void AddLayer(const LoraLayer& layer, const LoraProduct& product, NamedTensors& tensors) {
  const std::int64_t rank = product.left.size(1);
  std::vector<std::int64_t> down = layer.target.shape, up(down.size(), 1);
  up[0] = down[0];
  down[0] = up[1] = rank;
  tensors[layer.down] = product.right.reshape(down);
  tensors[layer.up] = product.left.reshape(up);
  if (!layer.alpha.empty()) tensors[layer.alpha] = at::full({}, static_cast<double>(rank), at::kFloat);
}

}  // namespace

LoraWeights CombineLora(const Trajectory& trajectory, std::span<const double> coefficients,
                        const std::optional<std::int64_t>& max_rank) {
  if (!trajectory.lora) {
    throw ConfigError("{}: expected a trajectory of LoRA checkpoints, found one of full weights; they have no factors",
                      trajectory.folder.string());
  }
  if (coefficients.size() != trajectory.steps.size()) {
    throw ConfigError("coefficients: expected {}, one per checkpoint of the trajectory, found {}",
                      trajectory.steps.size(), coefficients.size());
  }
  const at::NoGradGuard no_gradients;
  LoraWeights weights;
  std::vector<std::int64_t> ranks;
  double squared_error = 0, squared_norm = 0;
  for (const LayerRange& block : LayerBlocks(trajectory)) {
    const LoraFactors factors(trajectory, block);
    for (std::size_t i = block.begin; i < block.end; ++i) {
      const LoraLayer& layer = trajectory.lora->layers[i];
      Truncated result{factors.ProductOf(i, coefficients), 0};
      const double norm = SquaredNorm(result.product);
      if (max_rank && result.product.left.size(1) > *max_rank) result = Truncate(result.product, *max_rank);
      const double error = RelativeError(result.squared_error, norm);
      if (weights.worst_layer.empty() || error > weights.worst_error) {
        weights.worst_error = error;
        weights.worst_layer = layer.target.name;
      }
      squared_error += result.squared_error;
      squared_norm += norm;
      ranks.push_back(result.product.left.size(1));
      AddLayer(layer, result.product, weights.tensors);
    }
  }
  weights.rank = std::ranges::max(ranks);
  weights.overall_error = RelativeError(squared_error, squared_norm);
  weights.adapter_config = AdapterConfigOf(*trajectory.lora, ranks);
  return weights;
}

}  // namespace lcsc
