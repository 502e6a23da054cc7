#include "reference_set.h"

#include <cmath>

#include "lcsc/base/error.h"
#include "lcsc/metric/inception_score.h"

namespace lcsc {

ReferenceSet::ReferenceSet(const EvaluationOptions& options, const MetricSet& metrics, std::int64_t feature_dim)
    : metrics_(metrics), extractor_(options.extractor), feature_dim_(feature_dim) {
  const std::string& path = options.reference;
  const bool needs_features = NeedsReferenceFeatures(metrics_);
  if (!needs_features && !metrics_.contains(Metric::kFid)) return;
  const FeatureFile file(path);
  at::Tensor features;
  if (needs_features || !file.HasStatistics()) features = ReadFeatures(file);
  if (metrics_.contains(Metric::kKid)) kid_ = std::make_unique<KidReference>(features);
  if (metrics_.contains(Metric::kPrecisionRecall)) {
    precision_recall_ = std::make_unique<PrecisionRecallReference>(features);
  }
  if (!metrics_.contains(Metric::kFid)) return;
  if (file.HasStatistics()) {
    const GaussianStatistics statistics = ReadReference(path).statistics;
    CheckDim(path, statistics.mean.size(0));
    frechet_ = std::make_unique<FrechetReference>(statistics);
  } else {
    FeatureStatistics statistics(feature_dim_);
    statistics.Add(features);
    frechet_ = std::make_unique<FrechetReference>(GaussianOf(statistics));
  }
}

at::Tensor ReferenceSet::ReadFeatures(const FeatureFile& file) const {
  const std::string path = file.path().string(), key = file.DefaultKey();
  if (key.empty()) {
    throw InputError(
        "evaluation.reference {}: expected features of the real images, which all metrics but fid and "
        "the inception score are computed from, found statistics alone; make it with `lcsc reference "
        "--keep-features`",
        path);
  }
  at::Tensor features = file.Read(key);
  CheckDim(path, features.size(1));
  const std::int64_t fewest = metrics_.contains(Metric::kPrecisionRecall) ? 4 : 2;  // the third neighbour of a point
  if (features.size(0) < fewest) {
    throw MetricError("evaluation.reference {}: expected features of at least {} images, found {}", path, fewest,
                      features.size(0));
  }
  return features;
}

void ReferenceSet::CheckDim(const std::string& path, std::int64_t dim) const {
  if (dim == feature_dim_) return;
  throw MetricError("evaluation.reference {}: expected statistics of {} features, as {} gives, found {}", path,
                    feature_dim_, extractor_, dim);
}

FeatureStatistics ReferenceSet::StatisticsOf(const Measured& measured) const {
  FeatureStatistics statistics(feature_dim_);
  statistics.packed().copy_(measured.packed_statistics);
  if (!statistics.IsFinite()) throw MetricError("non-finite images or features");
  return statistics;
}

FeatureGradient ReferenceSet::Gradient(const Measured& measured, const std::map<std::string, double>& weights) const {
  FeatureGradient gradient;
  for (const auto& [value, weight] : weights) {
    if (value == "fid") {
      const FeatureStatistics statistics = StatisticsOf(measured);
      gradient.Add(FeatureGradientOf(frechet_->Gradient(GaussianOf(statistics)), statistics), weight);
    } else {
      LCSC_CHECK(value == "kid");
      gradient.Add(kid_->Gradient(measured.features), weight);
    }
  }
  return gradient;
}

MetricValues ReferenceSet::Compare(const Measured& measured) const {
  MetricValues values;
  if (frechet_) values["fid"] = frechet_->Distance(GaussianOf(StatisticsOf(measured)));
  if (kid_) values["kid"] = kid_->Distance(measured.features);
  if (metrics_.contains(Metric::kInceptionScore)) {
    const MeanStd score = InceptionScore(measured.logits);
    values["inception_score"] = score.mean;
    values["inception_score_std"] = score.std;
  }
  if (precision_recall_) {
    const PrecisionRecall shares = precision_recall_->Compare(measured.features);
    values["precision"] = shares.precision;
    values["recall"] = shares.recall;
    values["f_score"] = shares.f_score;
  }
  if (metrics_.contains(Metric::kScore)) values["score_mean"] = measured.scores.to(at::kDouble).mean().item<double>();
  for (const auto& [name, value] : values) {
    if (!std::isfinite(value)) throw MetricError("non-finite {}", name);
  }
  return values;
}

}  // namespace lcsc
