#include "lcsc/service/objective.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>

#include "lcsc/base/error.h"
#include "lcsc/config/nearest.h"

namespace lcsc {
namespace {

constexpr const char* kOption = "evaluation.objective";
constexpr double kLowerIsBetter = 1, kHigherIsBetter = -1;

struct TermKind {
  const char* word;
  const char* value;
  Metric metric;
  double sign;
};
constexpr std::array<TermKind, 7> kTermKinds = {{
    {"fid", "fid", Metric::kFid, kLowerIsBetter},
    {"kid", "kid", Metric::kKid, kLowerIsBetter},
    {"inception_score", "inception_score", Metric::kInceptionScore, kHigherIsBetter},
    {"precision", "precision", Metric::kPrecisionRecall, kHigherIsBetter},
    {"recall", "recall", Metric::kPrecisionRecall, kHigherIsBetter},
    {"f_score", "f_score", Metric::kPrecisionRecall, kHigherIsBetter},
    {"score", "score_mean", Metric::kScore, kHigherIsBetter},
}};

const std::map<std::string, Metric> kMetricWords = {{"fid", Metric::kFid},
                                                    {"kid", Metric::kKid},
                                                    {"is", Metric::kInceptionScore},
                                                    {"prc", Metric::kPrecisionRecall},
                                                    {"score", Metric::kScore}};

const TermKind& KindOf(const std::string& word) {
  const auto* kind = std::ranges::find(kTermKinds, word, &TermKind::word);
  if (kind != kTermKinds.end()) return *kind;
  std::vector<std::string> words;
  for (const TermKind& known : kTermKinds) words.emplace_back(known.word);
  throw ConfigError("{}: expected any of {}, found '{}'{}", kOption, fmt::join(words, ", "), word,
                    Suggestion(word, words));
}

double ReadWeight(const std::string& text, const std::string& term) {
  std::size_t used = 0;
  double weight = 0;
  try {
    weight = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != text.size() || !std::isfinite(weight) || weight <= 0) {
    throw ConfigError("{}: expected a weight above 0 behind '{}:', found '{}'", kOption, term, text);
  }
  return weight;
}

}  // namespace

MetricSet ParseMetrics(const std::vector<std::string>& words, const std::string& option) {
  std::vector<std::string> known;
  for (const auto& [word, metric] : kMetricWords) known.push_back(word);
  MetricSet metrics;
  for (const std::string& word : words) {
    const auto metric = kMetricWords.find(word);
    if (metric == kMetricWords.end()) {
      throw ConfigError("{}: expected any of {}, found '{}'{}", option, fmt::join(known, ", "), word,
                        Suggestion(word, known));
    }
    metrics.insert(metric->second);
  }
  if (metrics.empty()) throw ConfigError("{}: expected at least one of {}", option, fmt::join(known, ", "));
  return metrics;
}

bool NeedsExtractor(const MetricSet& metrics) { return metrics != MetricSet{Metric::kScore}; }

bool NeedsReferenceFeatures(const MetricSet& metrics) {
  return metrics.contains(Metric::kKid) || metrics.contains(Metric::kPrecisionRecall);
}

bool NeedsReference(const MetricSet& metrics) {
  return metrics.contains(Metric::kFid) || NeedsReferenceFeatures(metrics);
}

void CheckDifferentiable(const MetricSet& metrics) {
  for (const TermKind& kind : kTermKinds) {
    if (!metrics.contains(kind.metric) || kind.metric == Metric::kFid || kind.metric == Metric::kKid) continue;
    throw ConfigError(
        "{}: search.strategy: gradients expect an objective of fid and kid, found {}, of which no derivative is "
        "computed; use search.strategy = evolution",
        kOption, kind.word);
  }
}

std::vector<std::string> RequiredOptions(const MetricSet& metrics) {
  std::vector<std::string> keys;
  if (NeedsExtractor(metrics)) keys.emplace_back("evaluation.extractor");
  if (NeedsReference(metrics)) keys.emplace_back("evaluation.reference");
  if (metrics.contains(Metric::kScore)) keys.emplace_back("evaluation.scorer");
  return keys;
}

void CheckSampleCount(const MetricSet& metrics, std::int64_t num_samples) {
  constexpr std::int64_t kSplits = 10, kNeighbours = 3;
  std::int64_t least = 2;
  if (metrics.contains(Metric::kPrecisionRecall)) least = kNeighbours + 1;
  if (metrics.contains(Metric::kInceptionScore)) least = kSplits;
  if (num_samples >= least) return;
  throw ConfigError("evaluation.num_samples: expected at least {} for these metrics, found {}", least, num_samples);
}

Objective::Objective(const std::string& text) : text_(text) {
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    std::erase(part, ' ');
    const std::size_t colon = part.find(':');
    const TermKind& kind = KindOf(part.substr(0, colon));
    const double weight = colon == std::string::npos ? 1 : ReadWeight(part.substr(colon + 1), kind.word);
    if (std::ranges::find(terms_, kind.value, &Term::value) != terms_.end()) {
      throw ConfigError("{}: '{}' is there twice; add up its weights", kOption, kind.word);
    }
    terms_.push_back({kind.value, kind.sign * weight});
    metrics_.insert(kind.metric);
  }
  if (terms_.empty()) throw ConfigError("{}: expected a metric such as fid, found nothing", kOption);
}

double Objective::ValueOf(const MetricValues& values) const {
  double sum = 0;
  for (const Term& term : terms_) sum += term.factor * values.at(term.value);
  return sum;
}

std::map<std::string, double> Objective::Weights() const {
  std::map<std::string, double> weights;
  for (const Term& term : terms_) weights[term.value] = term.factor;
  return weights;
}

std::string Objective::Title() const {
  if (text_ == "fid") return "FID";
  return text_ == "kid" ? "KID" : "objective";
}

}  // namespace lcsc
