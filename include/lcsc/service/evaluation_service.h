// Sets up evaluation on all ranks, runs the master's task, and takes everything down again.
#pragma once

#include <functional>
#include <memory>

#include "lcsc/config/run_options.h"
#include "lcsc/service/evaluation_pool.h"

namespace lcsc {

// Makes one rank's evaluator for its group. Called on worker ranks, or on the only rank.
using EvaluatorFactory = std::function<std::unique_ptr<StagedEvaluator>(Collective& group)>;
// What the master does with the pool.
using MasterTask = std::function<void(EvaluationPool& pool)>;

// One rank: builds the evaluator and runs the task in-process. Several: rank 0 runs the task, the others serve in
// groups of run.group_size. Writes run.trace when it is given and no rank was left in the middle of an evaluation.
// Collective over all ranks; may be called again. Errors of the set-up are thrown on every rank.
void RunEvaluationService(const World& world, const RunOptions& run, const EvaluatorFactory& make_evaluator,
                          const MasterTask& task);

// Evaluates all candidates and returns their outcomes in the same order; `shown` is called after each. Throws
// LostRankError when a rank hangs.
std::vector<Outcome> EvaluateAll(EvaluationPool& pool, const std::vector<Candidate>& candidates,
                                 const std::function<void(std::size_t done)>& shown);

}  // namespace lcsc
