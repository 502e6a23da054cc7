// What a search minimises: one metric or a weighted sum (docs/objectives.md).
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

namespace lcsc {

// What is computed together, by the names of `lcsc evaluate --metrics`.
enum class Metric {
  kFid,              // fid
  kKid,              // kid
  kInceptionScore,   // is: inception_score, inception_score_std
  kPrecisionRecall,  // prc: precision, recall, f_score
  kScore,            // score: score_mean, the mean of the per-image scorer
};
using MetricSet = std::set<Metric>;
// By name: "fid", "inception_score_std", "score_mean", ...
using MetricValues = std::map<std::string, double>;

// {"fid", "is"} -> metrics. Throws ConfigError that names the option and the nearest word.
MetricSet ParseMetrics(const std::vector<std::string>& words, const std::string& option);

// The keys of the options without which the metrics cannot be computed: "evaluation.extractor", ...
std::vector<std::string> RequiredOptions(const MetricSet& metrics);
bool NeedsExtractor(const MetricSet& metrics);
bool NeedsReference(const MetricSet& metrics);
bool NeedsReferenceFeatures(const MetricSet& metrics);
// Throws ConfigError that names a metric without derivatives.
void CheckDifferentiable(const MetricSet& metrics);
// Throws ConfigError when so few samples have no value of one of the metrics.
void CheckSampleCount(const MetricSet& metrics, std::int64_t num_samples);

// sum of weight * value, with a minus sign for values of which higher is better.
class Objective {
 public:
  // "kid", or "fid:1,kid:100,inception_score:0.5"; terms fid, kid, inception_score, precision, recall, f_score, score.
  // Throws ConfigError: an unknown term, one given twice, a weight that is no number above 0.
  explicit Objective(const std::string& text);

  const MetricSet& metrics() const { return metrics_; }
  // REQUIRES: the values of metrics().
  double ValueOf(const MetricValues& values) const;
  // Its derivative with respect to each value: "fid" -> 1.
  std::map<std::string, double> Weights() const;
  // What a table calls it: "FID", "KID", "objective".
  std::string Title() const;

 private:
  struct Term {
    std::string value;  // its name in MetricValues
    double factor;      // weight, with the sign
  };
  std::string text_;
  std::vector<Term> terms_;
  MetricSet metrics_;
};

}  // namespace lcsc
