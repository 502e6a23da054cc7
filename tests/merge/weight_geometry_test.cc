#include "lcsc/merge/weight_geometry.h"

#include <gtest/gtest.h>

#include "store/checkpoints.h"

namespace lcsc {
namespace {

TEST(WeightGeometryTest, ProductsAreThoseOfTheWeights) {
  CheckpointFolder folder;
  folder.WriteSteps(1, 6);
  folder.PackAll();
  const Trajectory trajectory = ReadTrajectory(folder.output());
  const auto theta = [](std::size_t i) { return ToyTheta(static_cast<std::int64_t>(i) + 1).to(at::kDouble); };
  const std::vector<double> mixed = {0.5, 0, -1, 0, 1.5};
  const std::vector<at::Tensor> differences = {theta(0) - theta(2), theta(4) - theta(2),
                                               0.5 * theta(0) - 2 * theta(2) + 1.5 * theta(4)};
  const at::Tensor products =
      DifferenceProducts(trajectory, {0, 0, 1, 0, 0}, {{1, 0, 0, 0, 0}, {0, 0, 0, 0, 1}, mixed});
  ASSERT_EQ(products.sizes().vec(), (std::vector<std::int64_t>{3, 3}));
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      const double expected = (differences[i] * differences[j]).sum().item<double>();
      const double found = products[static_cast<std::int64_t>(i)][static_cast<std::int64_t>(j)].item<double>();
      EXPECT_NEAR(found, expected, 1e-5 * std::abs(expected)) << i << " " << j;
    }
  }
}

}  // namespace
}  // namespace lcsc
