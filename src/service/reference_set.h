// What generated images are compared with, as far as the metrics need it; and the comparison.
#pragma once

#include <memory>
#include <string>

#include "lcsc/config/evaluation_options.h"
#include "lcsc/metric/feature_file.h"
#include "lcsc/metric/frechet.h"
#include "lcsc/metric/kid.h"
#include "lcsc/metric/precision_recall.h"
#include "lcsc/service/objective.h"

namespace lcsc {

// What was measured of all samples, in their order. What no metric needs is undefined.
struct Measured {
  at::Tensor packed_statistics;  // FeatureStatistics::packed()
  at::Tensor features;           // float32 [n, d]
  at::Tensor logits;             // float32 [n, classes]
  at::Tensor scores;             // float32 [n, 1]
};

class ReferenceSet {
 public:
  // feature_dim: the extractor's. Throws InputError, MetricError that names the file, what was expected and found.
  ReferenceSet(const EvaluationOptions& options, const MetricSet& metrics, std::int64_t feature_dim);

  // FrechetReference::ChooseDevice; "" when no metric is a Fréchet distance.
  std::string ChooseDistanceDevice(int gpu) { return frechet_ ? frechet_->ChooseDevice(gpu) : ""; }
  // Throws MetricError when something measured is not finite.
  MetricValues Compare(const Measured& measured) const;
  // How sum_i weight_i value_i changes with each feature. REQUIRES: values "fid" and "kid" alone, of metrics of this
  // set. Throws as Compare does.
  FeatureGradient Gradient(const Measured& measured, const std::map<std::string, double>& weights) const;

 private:
  FeatureStatistics StatisticsOf(const Measured& measured) const;
  at::Tensor ReadFeatures(const FeatureFile& file) const;
  void CheckDim(const std::string& path, std::int64_t dim) const;

  MetricSet metrics_;
  std::string extractor_;
  std::int64_t feature_dim_;
  // What the metrics need, prepared for all candidates.
  std::unique_ptr<FrechetReference> frechet_;
  std::unique_ptr<KidReference> kid_;
  std::unique_ptr<PrecisionRecallReference> precision_recall_;
};

}  // namespace lcsc
