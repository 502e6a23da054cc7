// An evaluation in three stages that can run at the same time for three candidates.
#pragma once

#include <memory>
#include <span>

#include "lcsc/search/strategy.h"
#include "lcsc/service/memory_plan.h"
#include "lcsc/service/stages.h"

namespace lcsc {

// What an evaluator keeps of a candidate between Measure and Finish.
struct MeasuredState {
  virtual ~MeasuredState() = default;
};

// A candidate on its way through the stages, as one rank of its group sees it.
struct EvaluationJob {
  Candidate candidate;
  int slot = 0;  // the weights' place, its own from before Prepare until after Measure; in [0, num_slots())
  StageSpans spans;
  std::unique_ptr<MeasuredState> measured;
  Outcome outcome;  // after Finish, on the group's leader
};

// Each stage is called from one thread at a time, for the candidates in one order that all ranks of the group share;
// two stages may run at once in two threads. So what a stage writes, another must not touch but through the job, and a
// stage that speaks to the group does so through a Collective of its own.
class StagedEvaluator {
 public:
  virtual ~StagedEvaluator() = default;
  // Called first in each thread that will call a stage.
  virtual void EnterThread() {}
  // Called once before the first stage, on all ranks of the group together: what one rank's memory allows, all must do.
  virtual void AgreeWithGroup() {}
  // How many candidates may be prepared and not yet measured, the one that is being measured included; at least 1.
  virtual int num_slots() const = 0;
  // How many candidates Prepare takes at once, at most.
  virtual int max_batch() const { return 1; }
  // Coefficients -> weights of the whole network, in the jobs' slots.
  virtual void Prepare(std::span<EvaluationJob> jobs) = 0;
  // Weights -> what this rank measures of its samples.
  virtual void Measure(EvaluationJob& job) = 0;
  // What all ranks measured -> the outcome.
  virtual void Finish(EvaluationJob& job) = 0;

  // What it holds; empty when that is nothing to speak of.
  virtual MemoryPlan memory_plan() const { return {}; }

  // One candidate through all stages, in the calling thread.
  Outcome Evaluate(const Candidate& candidate);
};

}  // namespace lcsc
