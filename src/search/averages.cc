#include "lcsc/search/averages.h"

#include <algorithm>
#include <cmath>

#include "lcsc/base/error.h"

namespace lcsc {

double PowerFunctionGamma(double sigma_rel) {
  LCSC_CHECK(sigma_rel > 0 && sigma_rel <= kLargestSigmaRel);
  const auto sigma_of = [](double gamma) { return std::sqrt((gamma + 1) / (gamma + 3)) / (gamma + 2); };
  // sigma_of falls, and is below 1 / (gamma + 2).
  double low = 0, high = 1 / sigma_rel;
  while (true) {
    const double middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;
    (sigma_of(middle) > sigma_rel ? low : high) = middle;
  }
}

Coefficients PowerEmaCoefficients(double sigma_rel, std::span<const std::int64_t> steps) {
  LCSC_CHECK(!steps.empty() && steps.front() >= 0 && steps.back() > 0);
  const double exponent = PowerFunctionGamma(sigma_rel) + 1;
  const auto mass_until = [&](std::int64_t step) {
    return std::pow(static_cast<double>(step) / static_cast<double>(steps.back()), exponent);
  };
  Coefficients coefficients(steps.size());
  for (std::size_t i = 1; i < steps.size(); ++i) {
    LCSC_CHECK(steps[i] > steps[i - 1]);
    coefficients[i] = mass_until(steps[i]) - mass_until(steps[i - 1]);
  }
  CompleteFirst(coefficients);
  return coefficients;
}

Coefficients UniformCoefficients(const LastCheckpoints& last) {
  LCSC_CHECK(last.count >= 1 && last.count <= last.num_checkpoints);
  Coefficients coefficients(last.num_checkpoints);
  std::fill(coefficients.end() - static_cast<std::ptrdiff_t>(last.count), coefficients.end(),
            1 / static_cast<double>(last.count));
  return coefficients;
}

std::vector<std::size_t> UniformCounts(std::size_t num_checkpoints) {
  LCSC_CHECK(num_checkpoints >= 2);
  std::vector<std::size_t> counts;
  for (std::size_t count = 2; count < num_checkpoints; count *= 2) counts.push_back(count);
  counts.push_back(num_checkpoints);
  return counts;
}

std::vector<std::size_t> CheckpointsOf(const EveryNth& choice) {
  LCSC_CHECK(choice.every >= 1 && choice.num_checkpoints >= 1);
  std::vector<std::size_t> checkpoints;
  for (std::size_t back = 1; back <= choice.num_checkpoints; back += choice.every) {
    checkpoints.push_back(choice.num_checkpoints - back);
  }
  std::reverse(checkpoints.begin(), checkpoints.end());
  return checkpoints;
}

}  // namespace lcsc
