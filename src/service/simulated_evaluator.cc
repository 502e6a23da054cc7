#include "lcsc/service/simulated_evaluator.h"

#include <chrono>
#include <cmath>
#include <numbers>
#include <thread>

#include "lcsc/base/philox.h"

namespace lcsc {
namespace {

enum Part : std::uint32_t { kOptimumPart = 0, kDurationPart = 1 };

RandomStream StreamOf(const SimulationOptions& options, Part part, std::int64_t index) {
  return RandomStream({.purpose = RandomPurpose::kSimulation,
                       .seed = static_cast<std::uint64_t>(options.seed),
                       .index = static_cast<std::uint64_t>(index),
                       .part = part});
}

}  // namespace

SimulatedProblem::SimulatedProblem(const SimulationOptions& options) : options_(options) {
  RandomStream random = StreamOf(options, kOptimumPart, 0);
  const auto k = static_cast<double>(options.checkpoints);
  optimum_.resize(static_cast<std::size_t>(options.checkpoints));
  for (double& value : optimum_) value = 1 / k + random.NextNormal() / std::sqrt(k);
  CompleteFirst(optimum_);
}

std::vector<std::int64_t> SimulatedProblem::Steps() const {
  std::vector<std::int64_t> steps;
  for (std::int64_t i = 1; i <= options_.checkpoints; ++i) steps.push_back(10 * i);
  return steps;
}

double SimulatedProblem::Duration(std::int64_t candidate_id) const {
  const double mean = options_.mean_seconds, cv = options_.cv;
  if (mean == 0 || cv == 0 || options_.distribution == "constant") return mean;
  RandomStream random = StreamOf(options_, kDurationPart, candidate_id);
  if (options_.distribution == "pareto") {
    // cv^2 = 1 / (shape (shape - 2)), mean = shape x_m / (shape - 1).
    const double shape = 1 + std::sqrt(1 + 1 / (cv * cv));
    return mean * (shape - 1) / shape * std::pow(random.NextUniform(), -1 / shape);
  }
  const double variance = std::log1p(cv * cv);
  return mean * std::exp(std::sqrt(variance) * random.NextNormal() - variance / 2);
}

double SimulatedProblem::Score(const Coefficients& coefficients) const {
  constexpr double kRuggedness = 0.1;
  const auto k = static_cast<double>(optimum_.size());
  double squares = 0, ripples = 0;
  for (std::size_t i = 0; i < optimum_.size(); ++i) {
    const double distance = coefficients[i] - optimum_[i];
    squares += distance * distance;
    ripples += 1 - std::cos(2 * std::numbers::pi * std::sqrt(k) * distance);
  }
  return squares + kRuggedness / k * ripples;
}

void SimulatedEvaluator::Measure(EvaluationJob& job) {
  const auto start = std::chrono::steady_clock::now();
  job.outcome.score = problem_.Score(job.candidate.coefficients);
  const std::chrono::duration<double> duration(problem_.Duration(job.candidate.id));
  job.outcome.seconds.sample = duration.count();
  if (duration.count() > 0) std::this_thread::sleep_until(start + duration);
  job.spans.push_back({Stage::kSample, start, std::chrono::steady_clock::now()});
}

}  // namespace lcsc
