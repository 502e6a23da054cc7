// One group's pipeline: candidate -> merged weights -> score.
#pragma once

#include <memory>

#include "lcsc/comm/collective.h"
#include "lcsc/merge/weight_merger.h"
#include "lcsc/service/scorer.h"
#include "lcsc/service/staged_evaluator.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {

struct EvaluatorLimits {
  MemoryBudget memory;
  int max_batch = 1;  // candidates that are merged together when the shard is read from its files
  int gpu = -1;       // CUDA's number of this rank's, or -1; distances are computed there if that is faster
  bool merges_on_gpu = false;
  bool gradients = false;           // candidates may want them
  std::int64_t backward_every = 1;  // Scorer::BackwardTurns has them
  std::int64_t noise_blocks = 1;
  bool races = false;  // candidates may have bars
};

// Each rank of the group holds its part of the trajectory, merges it, and gathers the others' parts, so that all
// have the whole network; then the Scorer shares out the samples. Two networks: while one draws, the next candidate's
// weights are merged into the other.
class CandidateEvaluator : public StagedEvaluator {
 public:
  // Reads this rank's shard, builds the networks, loads extractor and reference. Throws InputError, and ConfigError
  // also when it does not fit into the memory.
  CandidateEvaluator(const EvaluationOptions& options, Collective& group, const EvaluatorLimits& limits);

  void EnterThread() override;
  // Leaves every rank as many slots as the one with the fewest has. Collective over the group.
  void AgreeWithGroup() override;
  int num_slots() const override { return static_cast<int>(slots_.size()); }
  int max_batch() const override { return num_slots() - 1; }
  MemoryPlan memory_plan() const override { return plan_; }
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

  void MeasureBatch(const Trajectory& trajectory);
  // The derivatives of the job's score with respect to its coefficients, on the leader. Collective over the group.
  std::vector<double> Differentiate(EvaluationJob& job);
  void MakeMerger(const Trajectory& trajectory, const EvaluatorLimits& limits);
  void MakeNetworks(const Trajectory& trajectory, const std::string& origin);

  MemoryPlan plan_;
  std::int64_t network_bytes_ = 0;                 // of one slot's weights
  std::unique_ptr<Collective> merging_, scoring_;  // the group, once for each stage that speaks
  std::unique_ptr<Collective> differentiating_;    // likewise; null without gradients
  std::unique_ptr<Collective> racing_;             // likewise; null without races
  Scorer scorer_;
  std::unique_ptr<WeightMerger> merger_;
  std::vector<Part> parts_;  // of the weights, one per rank
  std::vector<Slot> slots_{2};
};

// Of this rank, for the options of its run, without gradients.
EvaluatorLimits LimitsOf(const World& world, const RunOptions& run);

}  // namespace lcsc
