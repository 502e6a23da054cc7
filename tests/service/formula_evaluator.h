// An evaluator whose score is a formula of the coefficients, to test everything around it.
#pragma once

#include <unistd.h>

#include "lcsc/comm/collective.h"
#include "lcsc/search/strategy.h"

namespace lcsc {

// A smooth bowl away from every EMA.
inline double FormulaScore(const Coefficients& coefficients) {
  double score = 1;
  for (std::size_t i = 0; i < coefficients.size(); ++i) {
    const double target = i % 2 == 0 ? 0.4 : -0.3;
    score += (coefficients[i] - target) * (coefficients[i] - target);
  }
  return score;
}

class FormulaEvaluator : public Evaluator {
 public:
  explicit FormulaEvaluator(Collective& group, useconds_t pause_us = 0) : group_(group), pause_us_(pause_us) {}

  // Each rank adds its share of the terms, so that a wrong reduction gives a wrong score.
  Outcome Evaluate(const Candidate& candidate) override {
    if (pause_us_ > 0) ::usleep(pause_us_);
    std::vector<double> sum = {FormulaScore(candidate.coefficients) / group_.group_size()};
    group_.ReduceToLeader(sum);
    if (!group_.IsLeader()) return {};
    if (candidate.id == failing_id) return {.score = {}, .failure = "asked to fail", .seconds = {}};
    Outcome outcome{.score = sum[0], .failure = "", .seconds = {}};
    outcome.seconds.sample = pause_us_ * 1e-6;
    return outcome;
  }

  std::int64_t failing_id = -1;

 private:
  Collective& group_;
  useconds_t pause_us_;
};

}  // namespace lcsc
