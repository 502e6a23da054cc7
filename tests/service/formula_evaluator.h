// An evaluator whose score is a formula of the coefficients, to test everything around it.
#pragma once

#include <unistd.h>

#include "lcsc/comm/collective.h"
#include "lcsc/service/staged_evaluator.h"

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

// How long each stage takes.
struct Pauses {
  useconds_t prepare_us = 0, measure_us = 0, finish_us = 0;
};

class FormulaEvaluator : public StagedEvaluator {
 public:
  explicit FormulaEvaluator(Collective& group, const Pauses& pauses = {})
      : group_(group.Duplicate()), pauses_(pauses) {}

  int num_slots() const override { return 2; }
  void Prepare(std::span<EvaluationJob> jobs) override {
    for (EvaluationJob& job : jobs) Pause(Stage::kMerge, pauses_.prepare_us, job);
  }
  void Measure(EvaluationJob& job) override { Pause(Stage::kSample, pauses_.measure_us, job); }
  // Each rank adds its share of the terms, so that a wrong reduction gives a wrong score.
  void Finish(EvaluationJob& job) override {
    Pause(Stage::kDistance, pauses_.finish_us, job);
    std::vector<double> sum = {FormulaScore(job.candidate.coefficients) / group_->group_size()};
    group_->ReduceToLeader(sum);
    if (!group_->IsLeader()) return;
    job.outcome.seconds = SumOf(job.spans);
    if (job.candidate.id == failing_id) {
      job.outcome.failure = "asked to fail";
    } else {
      job.outcome.score = sum[0];
    }
  }

  std::int64_t failing_id = -1;

 private:
  static void Pause(Stage stage, useconds_t pause_us, EvaluationJob& job) {
    const StageTimer timer(stage, job.spans);
    if (pause_us > 0) ::usleep(pause_us);
  }

  std::unique_ptr<Collective> group_;
  Pauses pauses_;
};

}  // namespace lcsc
