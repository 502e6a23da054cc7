// The stages of several candidates at once: while candidate n is measured, n+1 is prepared and n-1 is finished.
#pragma once

#include <functional>
#include <vector>

#include "lcsc/service/staged_evaluator.h"

namespace lcsc {

struct PipelineEnds {
  // The next candidates, at least one and at most max_count, as soon as one is there; empty at the end of work.
  std::function<std::vector<Candidate>(int max_count)> next;
  // Takes each job after its Finish, in the order of the candidates.
  std::function<void(EvaluationJob job)> done;
  // Whether nobody waits for outcomes any more: what is prepared is then dropped. May be absent; absent where ranks
  // share a candidate, for they would not agree.
  std::function<bool()> abandoned;
  // Called instead of throwing, in the thread of the stage that threw, with an Error that also names rank, host,
  // candidate and stage. Where the stages speak to other ranks it must not return, for the other stages may wait for
  // those ranks forever.
  std::function<void(std::exception_ptr error)> failed;
};

enum class Overlap { kOn, kOff };

// Runs until `next` has nothing more and all jobs are done, or a stage has failed. With Overlap::kOff, or a single
// slot, one candidate after the other, all stages in the calling thread; else `next` and Prepare, Measure, and Finish
// and `done` run in three threads. The outcomes are the same.
void RunPipeline(StagedEvaluator& evaluator, const PipelineEnds& ends, Overlap overlap);

}  // namespace lcsc
