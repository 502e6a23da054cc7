// One group's pipeline: candidate -> merged weights -> score.
#pragma once

#include <memory>

#include "lcsc/comm/collective.h"
#include "lcsc/merge/weight_merger.h"
#include "lcsc/search/strategy.h"
#include "lcsc/service/scorer.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {

// Each rank of the group holds its part of the trajectory, merges it, and gathers the others' parts, so that all
// have the whole network; then the Scorer shares out the samples.
class CandidateEvaluator : public Evaluator {
 public:
  // Reads this rank's shard, builds the network, loads extractor and reference. Throws InputError, ConfigError.
  CandidateEvaluator(const EvaluationOptions& options, Collective& group);

  // Collective over the group.
  Outcome Evaluate(const Candidate& candidate) override;

 private:
  Collective& group_;
  std::vector<Part> parts_;  // of the weights, one per rank
  at::Tensor weights_;       // float32 [p]; the network's merged parameters are views of it
  std::shared_ptr<Denoiser> network_;
  std::unique_ptr<WeightMerger> merger_;
  Scorer scorer_;
};

}  // namespace lcsc
