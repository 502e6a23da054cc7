// One group's pipeline: candidate -> merged weights -> score.
#pragma once

#include <memory>

#include "lcsc/comm/collective.h"
#include "lcsc/merge/weight_merger.h"
#include "lcsc/service/scorer.h"
#include "lcsc/service/staged_evaluator.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {

// Each rank of the group holds its part of the trajectory, merges it, and gathers the others' parts, so that all
// have the whole network; then the Scorer shares out the samples. Two networks: while one draws, the next candidate's
// weights are merged into the other.
class CandidateEvaluator : public StagedEvaluator {
 public:
  // Reads this rank's shard, builds the network, loads extractor and reference. Throws InputError, ConfigError.
  CandidateEvaluator(const EvaluationOptions& options, Collective& group);

  int num_slots() const override { return static_cast<int>(slots_.size()); }
  // Collective over the group.
  void Prepare(std::span<EvaluationJob> jobs) override;
  void Measure(EvaluationJob& job) override;
  // Collective over the group.
  void Finish(EvaluationJob& job) override;

 private:
  struct Slot {
    at::Tensor weights;  // float32 [p]; the network's merged parameters are views of it
    std::shared_ptr<Denoiser> network;
  };

  std::unique_ptr<Collective> merging_, scoring_;  // the group, once for each stage that speaks
  Scorer scorer_;
  std::unique_ptr<WeightMerger> merger_;
  std::vector<Part> parts_;  // of the weights, one per rank
  std::vector<Slot> slots_;
};

}  // namespace lcsc
