#include "lcsc/merge/weight_geometry.h"

#include <algorithm>

#include "lcsc/merge/weight_merger.h"

namespace lcsc {

at::Tensor DifferenceProducts(const Trajectory& trajectory, const std::vector<double>& origin,
                              const std::vector<std::vector<double>>& points, std::int64_t budget_bytes) {
  MergeOptions options;
  if (!trajectory.lora) options.budget_bytes = budget_bytes;
  const auto merger = MakeWeightMerger(trajectory, {}, options);
  const std::int64_t num_weights = merger->table().num_elements();
  const auto num_points = static_cast<std::int64_t>(points.size());
  const at::Tensor weights = at::empty({num_points + 1, num_weights}, at::kFloat);
  std::vector<std::span<const double>> coefficients = {origin};
  coefficients.insert(coefficients.end(), points.begin(), points.end());
  std::vector<std::span<float>> wholes;
  for (std::int64_t i = 0; i <= num_points; ++i) {
    wholes.emplace_back(weights[i].data_ptr<float>(), static_cast<std::size_t>(num_weights));
  }
  merger->MergeBatch(coefficients, wholes);

  constexpr std::int64_t kBlock = 1 << 20;  // weights at a time
  at::Tensor products = at::zeros({num_points, num_points}, at::kDouble);
  for (std::int64_t begin = 0; begin < num_weights; begin += kBlock) {
    const at::Tensor block = weights.slice(1, begin, std::min(begin + kBlock, num_weights)).to(at::kDouble);
    const at::Tensor differences = block.slice(0, 1) - block.slice(0, 0, 1);
    products += differences.matmul(differences.t());
  }
  return products;
}

}  // namespace lcsc
