// Candidates that take time but no arithmetic: to measure and test everything around the evaluation, on any number of
// ranks, without checkpoints.
#pragma once

#include "lcsc/config/simulation_options.h"
#include "lcsc/service/staged_evaluator.h"

namespace lcsc {

// What a candidate costs and what it is worth: functions of the candidate alone, so that every layout of ranks gives
// the same search. Made once, read by anyone.
class SimulatedProblem {
 public:
  explicit SimulatedProblem(const SimulationOptions& options);

  // Training iterations of the K checkpoints: 10, 20, ...
  std::vector<std::int64_t> Steps() const;
  // Seconds that the evaluation takes, >= 0: a random number of the stream (seed, candidate id).
  //   constant: the mean; lognormal: exp(N(mu, s^2)) with the given mean and coefficient of variation;
  //   pareto: P(d > x) = (x_m / x)^shape with that mean and variation, a heavy tail; each with cv = 0 is the constant.
  double Duration(std::int64_t candidate_id) const;
  // Squared distance to a hidden optimum plus a rugged term, >= 0, and 0 at the optimum alone:
  //   f(a) = sum_i (a_i - o_i)^2 + r / K sum_i (1 - cos(2 pi sqrt(K) (a_i - o_i))),  r = 0.1.
  double Score(const Coefficients& coefficients) const;
  // o [K], sum 1: the uniform average plus noise of standard deviation 1/sqrt(K).
  const Coefficients& optimum() const { return optimum_; }

 private:
  SimulationOptions options_;
  Coefficients optimum_;
};

// One candidate at a time. Measuring it sleeps for its duration, and not at all when that is 0; there is nothing to
// prepare or to finish.
class SimulatedEvaluator : public StagedEvaluator {
 public:
  explicit SimulatedEvaluator(const SimulationOptions& options) : problem_(options) {}
  int num_slots() const override { return 1; }
  void Prepare(std::span<EvaluationJob>) override {}
  // The stage `sample` has the duration that was drawn, not what the sleep became.
  void Measure(EvaluationJob& job) override;
  void Finish(EvaluationJob&) override {}

 private:
  SimulatedProblem problem_;
};

}  // namespace lcsc
