// network -> samples -> uint8 images -> features -> statistics -> distance, for one group of ranks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lcsc/comm/collective.h"
#include "lcsc/config/evaluation_options.h"
#include "lcsc/metric/frechet.h"
#include "lcsc/model/network.h"
#include "lcsc/sample/noise.h"
#include "lcsc/search/candidate.h"
#include "lcsc/service/image_source.h"

namespace lcsc {

// Which samples of [0, num_samples) this rank draws: whole batches, whose boundaries do not depend on the group.
// Throws ConfigError when there are fewer batches than ranks.
std::vector<SampleRange> OwnBatches(const EvaluationOptions& options, const Collective& group);

class Scorer {
 public:
  // Loads the extractor and the reference and checks that they belong together. Throws InputError, MetricError.
  Scorer(const EvaluationOptions& options, Collective& group);

  // Throws ConfigError when the extractor does not take the network's images, and what ImageSource::Probe throws.
  void CheckFits(Denoiser& network);

  // The Fréchet distance of num_samples images that the network draws. Collective over the group; the score is on the
  // leader, the others' outcome is empty. Non-finite images or statistics are a failed outcome, not an error.
  // `seconds`: what the stages before took.
  Outcome ScoreNetwork(Denoiser& network, const StageSeconds& seconds = {});
  // The same of given images, uint8 [n, c, h, w]; every rank has all of them and extracts its share.
  Outcome ScoreImages(const at::Tensor& images);

 private:
  Outcome ReduceAndCompare(FeatureStatistics& statistics, StageSeconds seconds);

  EvaluationOptions options_;
  Collective& group_;
  ImageSource source_;
  std::shared_ptr<FeatureExtractor> extractor_;
  std::unique_ptr<FrechetReference> reference_;
};

}  // namespace lcsc
