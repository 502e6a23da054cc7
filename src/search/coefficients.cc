#include "lcsc/search/coefficients.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lcsc/base/error.h"

namespace lcsc {

void CompleteFirst(Coefficients& coefficients) {
  LCSC_CHECK(!coefficients.empty());
  coefficients[0] = 1 - std::accumulate(coefficients.begin() + 1, coefficients.end(), 0.0);
}

Restriction RestrictionOf(const std::string& name) {
  if (name == "convex") return Restriction::kConvex;
  if (name == "clip") return Restriction::kClip;
  LCSC_CHECK(name == "none");
  return Restriction::kNone;
}

void Restrict(Coefficients& coefficients, Restriction restriction) {
  if (restriction == Restriction::kClip) {
    for (std::size_t i = 1; i < coefficients.size(); ++i) coefficients[i] = std::min(coefficients[i], 1.0);
    CompleteFirst(coefficients);
  }
  if (restriction != Restriction::kConvex) return;
  for (double& a : coefficients) a = std::max(a, 0.0);
  const double sum = std::accumulate(coefficients.begin(), coefficients.end(), 0.0);
  for (double& a : coefficients) a /= sum;
}

Coefficients EmaCoefficients(double rate, std::span<const std::int64_t> steps) {
  LCSC_CHECK(!steps.empty() && rate >= 0 && rate < 1);
  Coefficients coefficients(steps.size());
  for (std::size_t i = 1; i < steps.size(); ++i) {
    LCSC_CHECK(steps[i] > steps[i - 1]);
    const double kept = std::pow(rate, static_cast<double>(steps.back() - steps[i]));
    coefficients[i] = (1 - std::pow(rate, static_cast<double>(steps[i] - steps[i - 1]))) * kept;
  }
  CompleteFirst(coefficients);
  return coefficients;
}

Coefficients SingleCheckpoint(const CheckpointIndex& checkpoint) {
  LCSC_CHECK(checkpoint.index < checkpoint.num_checkpoints);
  Coefficients coefficients(checkpoint.num_checkpoints);
  coefficients[checkpoint.index] = 1;
  return coefficients;
}

std::vector<double> DefaultEmaRates(std::span<const std::int64_t> steps) {
  LCSC_CHECK(steps.size() >= 2);
  constexpr int kNumRates = 12;
  constexpr double kShortest = 1.0 / 32, kLongest = 4;
  const auto window = static_cast<double>(steps.back() - steps.front());
  std::vector<double> rates = {0};
  for (int i = 0; i < kNumRates; ++i) {
    const double time_constant = window * kShortest * std::pow(kLongest / kShortest, i / (kNumRates - 1.0));
    rates.push_back(std::exp(-1 / time_constant));
  }
  return rates;
}

}  // namespace lcsc
