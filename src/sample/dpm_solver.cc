// DPM-Solver (Lu et al. 2022a, "DPM-Solver: a fast ODE solver") and DPM-Solver++ (Lu et al. 2022b), in x_t / alpha_t,
// where both are one formula: x <- A x - B (...), with the papers' phi functions of h or of -h.
#include <algorithm>
#include <cmath>
#include <deque>

#include "lcsc/base/error.h"
#include "samplers.h"

namespace lcsc {
namespace {

using Prediction = DpmSolverOptions::Prediction;
using Method = DpmSolverOptions::Method;

// Below this many steps the multistep solver ends with lower orders: the papers' remedy for few steps.
constexpr int kFewSteps = 10;

// h^j phi_j(h) / h^(j-1) of Lu et al. 2022a, App. B.
double Phi1(double h) { return std::expm1(h); }
double Phi2(double h) { return Phi1(h) / h - 1; }
double Phi3(double h) { return Phi2(h) / h - 0.5; }

// What the network said at one point of the trajectory: the noise or the data.
struct Evaluation {
  double lambda;
  at::Tensor model;
};

class DpmSolver {
 public:
  DpmSolver(const BatchDenoiser& denoise, Prediction prediction) : denoise_(denoise), prediction_(prediction) {}

  Evaluation Evaluate(const at::Tensor& x, double lambda) const {
    const at::Tensor denoised = denoise_(x, std::exp(-lambda)).to(at::kDouble);
    return {lambda, prediction_ == Prediction::kData ? denoised : (x - denoised) * std::exp(lambda)};
  }

  // One step of order 1 + inner.size() from `lambda_s` to `lambda_t`, which calls the network at lambda_s and at the
  // `inner` lambdas between (2022a: Alg. 1 and 2; 2022b: Alg. 1 and App. A).
  at::Tensor Singlestep(const at::Tensor& x, double lambda_s, double lambda_t, const std::vector<double>& inner) const {
    const Step step = StepTo(lambda_s, lambda_t);
    const at::Tensor m0 = Evaluate(x, lambda_s).model;
    if (inner.empty()) return Advance(x, step, Phi1(step.h) * m0);

    const Step step1 = StepTo(lambda_s, inner[0]);
    const double r1 = step1.h / step.h;
    const at::Tensor m1 = Evaluate(Advance(x, step1, Phi1(step1.h) * m0), inner[0]).model;
    if (inner.size() == 1) return Advance(x, step, Phi1(step.h) * (m0 + (m1 - m0) * (0.5 / r1)));

    const Step step2 = StepTo(lambda_s, inner[1]);
    const double r2 = step2.h / step.h;
    const at::Tensor change = Phi1(step2.h) * m0 + (m1 - m0) * (r2 / r1 * Phi2(step2.h));
    const at::Tensor m2 = Evaluate(Advance(x, step2, change), inner[1]).model;
    return Advance(x, step, Phi1(step.h) * m0 + (m2 - m0) * (Phi2(step.h) / r2));
  }

  // One step of `order` from the newest of `past` (in front) to `lambda_t` (2022b: Alg. 2). past.size() >= order.
  at::Tensor Multistep(const at::Tensor& x, const std::deque<Evaluation>& past, double lambda_t, int order) const {
    const Step step = StepTo(past[0].lambda, lambda_t);
    const at::Tensor& m0 = past[0].model;
    if (order == 1) return Advance(x, step, Phi1(step.h) * m0);

    const double h = lambda_t - past[0].lambda;
    // The i-th backward difference over its share of h.
    const auto slope = [&](std::size_t i) {
      return (past[i].model - past[i + 1].model) * (h / (past[i].lambda - past[i + 1].lambda));
    };
    const at::Tensor d1_0 = slope(0);
    if (order == 2) return Advance(x, step, Phi1(step.h) * (m0 + 0.5 * d1_0));

    const double r0 = (past[0].lambda - past[1].lambda) / h, r1 = (past[1].lambda - past[2].lambda) / h;
    const at::Tensor d2 = (d1_0 - slope(1)) / (r0 + r1);
    const at::Tensor d1 = d1_0 + r0 * d2;
    return Advance(x, step, Phi1(step.h) * m0 + Phi2(step.h) * d1 + Phi3(step.h) * d2);
  }

 private:
  // From s to t: the factors of the state and of the model's part, and h = lambda_t - lambda_s, for the data negative.
  struct Step {
    double state, model, h;
  };
  Step StepTo(double lambda_s, double lambda_t) const {
    const double h = lambda_t - lambda_s;
    if (prediction_ == Prediction::kData) return {std::exp(-h), 1, -h};
    return {1, std::exp(-lambda_t), h};
  }
  static at::Tensor Advance(const at::Tensor& x, const Step& step, const at::Tensor& change) {
    return step.state * x - step.model * change;
  }

  const BatchDenoiser& denoise_;
  Prediction prediction_;
};

struct TimeRange {
  double first, last;
};

// A discrete process has times of its own; where time is the noise level, the options say which.
TimeRange RangeOf(const SamplerOptions& options, const NoiseSchedule& schedule) {
  if (schedule.is_discrete()) return {schedule.first_time(), schedule.last_time()};
  return {options.sigma_max, options.sigma_min};
}

// steps + 1 times from range.first to range.last.
std::vector<double> SpacedTimes(TimeRange range, int steps, SkipType skip, const NoiseSchedule& schedule) {
  const auto spaced = [&](double first, double last, const auto& time_of) {
    std::vector<double> times = {range.first};
    for (int i = 1; i < steps; ++i) times.push_back(time_of(first + i * (last - first) / steps));
    times.push_back(range.last);
    return times;
  };
  switch (skip) {
    case SkipType::kTimeUniform:
      return spaced(range.first, range.last, [](double t) { return t; });
    case SkipType::kLogSnr:
      return spaced(schedule.Lambda(range.first), schedule.Lambda(range.last),
                    [&](double lambda) { return schedule.TimeOfLambda(lambda); });
    case SkipType::kTimeQuadratic:
      return spaced(std::sqrt(range.first), std::sqrt(range.last), [](double root) { return root * root; });
  }
  throw InvariantError("a skip type without an implementation");
}

// The orders of the singlestep solver's steps: as many of `order` as `evaluations` pay for, the rest with lower ones
// (2022a, App. D.3 for order 3).
std::vector<int> SinglestepOrders(int evaluations, int order) {
  if (order == 3 && evaluations % 3 == 0) {
    std::vector<int> orders(static_cast<std::size_t>(evaluations / 3 - 1), 3);
    orders.insert(orders.end(), {2, 1});
    return orders;
  }
  std::vector<int> orders(static_cast<std::size_t>(evaluations / order), order);
  if (evaluations % order > 0) orders.push_back(evaluations % order);
  return orders;
}

at::Tensor SolveSinglestep(const DpmSolver& solver, at::Tensor x, const SamplerOptions& options,
                           const NoiseSchedule& schedule) {
  const TimeRange range = RangeOf(options, schedule);
  const std::vector<int> orders = SinglestepOrders(options.steps, options.dpm_solver.order);
  // On a grid of t a step is as long as the calls it makes; in lambda all steps are equal.
  const bool per_call = options.skip != SkipType::kLogSnr;
  const int num_intervals = per_call ? options.steps : static_cast<int>(orders.size());
  const std::vector<double> times = SpacedTimes(range, num_intervals, options.skip, schedule);
  std::size_t s = 0;
  for (const int order : orders) {
    const std::size_t t = s + (per_call ? static_cast<std::size_t>(order) : 1);
    std::vector<double> inner = SpacedTimes({times[s], times[t]}, order, options.skip, schedule);
    for (double& time : inner) time = schedule.Lambda(time);
    x = solver.Singlestep(x, inner.front(), inner.back(), {inner.begin() + 1, inner.end() - 1});
    s = t;
  }
  return x;
}

at::Tensor SolveMultistep(const DpmSolver& solver, at::Tensor x, const SamplerOptions& options,
                          const NoiseSchedule& schedule) {
  const DpmSolverOptions& dpm = options.dpm_solver;
  const std::vector<double> times = SpacedTimes(RangeOf(options, schedule), options.steps, options.skip, schedule);
  const bool lower_at_the_end = dpm.lower_order_final && options.steps < kFewSteps;
  std::deque<Evaluation> past;
  for (int step = 1; step <= options.steps; ++step) {
    const double lambda_s = schedule.Lambda(times[static_cast<std::size_t>(step - 1)]);
    past.push_front(solver.Evaluate(x, lambda_s));
    if (past.size() > 3) past.pop_back();
    int order = std::min(dpm.order, step);
    if (lower_at_the_end) order = std::min(order, options.steps + 1 - step);
    x = solver.Multistep(x, past, schedule.Lambda(times[static_cast<std::size_t>(step)]), order);
  }
  return x;
}

}  // namespace

int DpmSolverEvaluations(const SamplerOptions& options) {
  const DpmSolverOptions& dpm = options.dpm_solver;
  if (dpm.order < 1 || dpm.order > 3) {
    throw ConfigError("sampler dpm-solver: expected order 1, 2 or 3, found {}", dpm.order);
  }
  const int least = dpm.method == Method::kMultistep ? dpm.order : 1;
  if (options.steps < least) {
    throw ConfigError("sampler dpm-solver: the {} method of order {} expected steps >= {}, found {}",
                      dpm.method == Method::kMultistep ? "multistep" : "singlestep", dpm.order, least, options.steps);
  }
  return options.steps + (dpm.denoise_to_zero ? 1 : 0);
}

at::Tensor SampleDpmSolver(const BatchDenoiser& denoise, const SamplerOptions& options, const NoiseSource& noise) {
  const DpmSolverOptions& dpm = options.dpm_solver;
  const NoiseSchedule& schedule = denoise.schedule();
  const TimeRange range = RangeOf(options, schedule);
  const double scale = schedule.is_discrete() ? schedule.InitialScale() : range.first;
  const DpmSolver solver(denoise, dpm.prediction);
  at::Tensor x = noise(0).to(at::kDouble) * scale;
  x = dpm.method == Method::kSinglestep ? SolveSinglestep(solver, x, options, schedule)
                                        : SolveMultistep(solver, x, options, schedule);
  return dpm.denoise_to_zero ? denoise(x, schedule.NoiseLevel(range.last))
                             : x * std::exp(schedule.LogAlpha(range.last));
}

}  // namespace lcsc
