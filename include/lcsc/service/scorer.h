// network -> samples -> uint8 images -> features, logits, scores -> metrics, for one group of ranks.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lcsc/comm/collective.h"
#include "lcsc/config/evaluation_options.h"
#include "lcsc/metric/feature_gradient.h"
#include "lcsc/metric/feature_statistics.h"
#include "lcsc/model/image_scorer.h"
#include "lcsc/model/network.h"
#include "lcsc/sample/noise.h"
#include "lcsc/search/candidate.h"
#include "lcsc/service/image_source.h"
#include "lcsc/service/objective.h"
#include "lcsc/service/staged_evaluator.h"

namespace lcsc {

class ReferenceSet;
class WeightGradient;
struct Measured;

// Which samples of [0, num_samples) this rank draws: whole batches, whose boundaries do not depend on the group.
// Throws ConfigError when there are fewer batches than ranks.
std::vector<SampleRange> OwnBatches(const EvaluationOptions& options, const Collective& group);

// What was measured, or why nothing was; on the group's leader, the others have neither.
struct Measurement {
  MetricValues values;
  at::Tensor image_scores;  // float32 [n], in the order of the samples; undefined without Metric::kScore
  std::string failure;
  bool is_stopped = false;  // the values are those of the looks, and there are no others
};

// What a rank has measured of its samples, batch by batch.
struct Tally : MeasuredState {
  std::optional<FeatureStatistics> statistics;
  std::vector<at::Tensor> features, logits, scores;  // one of each for each batch
  std::string failure;                               // why this rank could not finish its samples
  MetricValues looks;                                // the leader's, of a race: the score by LookName
  bool is_stopped = false;                           // the race is lost
};

// Draw and Finish may run at once in two threads, each for another candidate.
class Scorer {
 public:
  // Measures what evaluation.objective needs. Loads extractor, per-image scorer and reference, as far as needed, and
  // checks that they belong together. Throws InputError, MetricError, ConfigError.
  Scorer(const EvaluationOptions& options, Collective& group);
  // Measures `metrics` instead.
  Scorer(const EvaluationOptions& options, const MetricSet& metrics, Collective& group);
  ~Scorer();

  // On the leader: computes distances on this GPU (CUDA's number) if it is faster than the CPU, and logs what it
  // measured.
  void ChooseDistanceDevice(int gpu);
  // Throws ConfigError when the extractor does not take the network's images, what the per-image scorer throws of them,
  // and what ImageSource::CheckConditioning and Probe throw.
  void CheckFits(Denoiser& network);

  // Draws this rank's share of a noise block's num_samples images and measures it. Non-finite images, and what a module
  // refuses, are a failure, not an error. Not collective.
  std::unique_ptr<Tally> Draw(Denoiser& network, StageSpans& spans, std::int64_t noise_block = 0);

  // From now on Race looks at the score after an eighth, a quarter and a half of the batches, rounded up. Throws
  // ConfigError when these are too few samples for a metric, or all there are. Before anything is drawn.
  void PrepareRace();
  // As Draw, until the score of the samples so far is above the candidate's bar for it. Collective over `group`, which
  // has the ranks of the Scorer's own.
  std::unique_ptr<Tally> Race(Denoiser& network, const Candidate& candidate, Collective& group, StageSpans& spans);

  // Gradients go back through one of `every` batches, the next one at each visit to a block: steps take turns with so
  // many noise blocks.
  struct BackwardTurns {
    std::int64_t every = 1, noise_blocks = 1;
  };
  // From now on features can be differentiated. Throws ConfigError when the objective cannot, or there are fewer
  // batches. Before anything is drawn.
  void PrepareGradients(const BackwardTurns& turns = {1, 1});
  // Throws ConfigError when network, sampler or extractor cannot be differentiated with respect to the tensors of
  // `table`: draws one sample. REQUIRES: PrepareGradients.
  void CheckDifferentiates(Denoiser& network, const TensorTable& table);
  // How the objective changes with each feature, on every rank; nullopt when there is no score. What goes wrong with
  // its derivatives becomes the failure of the leader's tally. Collective over `group`, which has the ranks of the
  // Scorer's own. REQUIRES: PrepareGradients.
  std::optional<FeatureGradient> GradientOf(Tally& tally, Collective& group, StageSpans& spans);
  // Draws this rank's share again, as far as it is the candidate's turn to go back through it, and adds to `sum` what
  // it contributes to the derivatives of the objective with respect to the weights. What a module refuses becomes the
  // tally's failure. Not collective.
  void AddWeightGradient(Denoiser& network, const FeatureGradient& of_features, const Candidate& candidate,
                         Tally& tally, WeightGradient& sum, StageSpans& spans);
  // Why a rank of the group could not finish its samples, its own reason first; "" when all could. Collective.
  static std::string FailureOfAny(const std::string& own, Collective& group);
  // Draws the first batch and forgets it: so the memory that a batch needs has been used.
  void Rehearse(Denoiser& network);
  // The same for the derivatives with respect to the tensors of `table`. REQUIRES: PrepareGradients.
  void RehearseGradient(Denoiser& network, const TensorTable& table);
  // What the tallies of three candidates and the comparison with the reference hold at most on this rank.
  std::int64_t StatisticsBytes() const;
  // The metrics of what all ranks drew. Additive statistics are reduced; features, logits and scores are gathered in
  // the order of the samples: so values do not depend on the group. Collective over the group.
  Measurement Finish(Tally& tally, StageSpans& spans) { return Finish(tally, chunks_, spans); }
  // The objective's value of it. REQUIRES: the metrics are the objective's.
  Outcome OutcomeOf(const Measurement& measurement, const StageSpans& spans) const;

  // Draw and Finish in one.
  Measurement MeasureNetwork(Denoiser& network);
  Outcome ScoreNetwork(Denoiser& network);
  // The same of given images, uint8 [n, c, h, w]; every rank has all of them and measures its share.
  Measurement MeasureImages(const at::Tensor& images);
  Outcome ScoreImages(const at::Tensor& images);

 private:
  struct BackwardBatch {
    SampleRange range;  // of the noise block
    std::int64_t noise_block = 0;
    double factor = 1;  // that makes all that are taken stand for all there are
  };
  // Those of this rank that are taken for this candidate.
  std::vector<BackwardBatch> BackwardBatches(const Candidate& candidate) const;
  void AddBatchGradient(Denoiser& network, const FeatureGradient& of_features, const BackwardBatch& batch,
                        WeightGradient& sum);
  std::unique_ptr<Tally> EmptyTally() const;
  // This rank's batches, chunk by chunk.
  std::vector<SampleRange> OwnBatches() const;
  void AddDrawn(Denoiser& network, std::span<const SampleRange> ranges, Tally& tally, StageSpans& spans);
  // Whether the candidate goes on after these chunks. Collective.
  bool PassesLook(std::span<const SampleRange> chunks, const Candidate& candidate, Tally& tally, Collective& group,
                  StageSpans& spans);
  // What the per-image scorer is given with the network's images; nothing without one.
  Conditioning ConditioningOf(SampleRange range, const Denoiser& network) const;
  void Add(const at::Tensor& images, const Conditioning& conditioning, Tally& tally);
  // The same samples of another block.
  SampleRange InBlock(SampleRange range, std::int64_t noise_block) const;
  Measured Gather(Tally& tally, std::span<const SampleRange> chunks, Collective& group) const;
  Measurement Finish(Tally& tally, std::span<const SampleRange> chunks, StageSpans& spans);

  EvaluationOptions options_;
  std::vector<SampleRange> chunks_;  // of [0, num_samples), each shared out among the ranks: one, or one for each look
  std::optional<BackwardTurns> backward_;  // with gradients
  MetricSet metrics_;
  Collective& group_;
  ImageSource source_;
  std::shared_ptr<FeatureExtractor> extractor_;
  std::unique_ptr<ImageScorer> image_scorer_;
  std::unique_ptr<ReferenceSet> reference_;  // the leader's
};

}  // namespace lcsc
