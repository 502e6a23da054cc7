#include "lcsc/metric/inception_score.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "lcsc/base/error.h"
#include "lcsc/metric/feature_check.h"

namespace lcsc {
namespace {

constexpr std::int64_t kScoredRows = 4096;

// exp(E_x KL(p(y|x) || p(y))) with E_x KL = E_x sum_y p(y|x) ln p(y|x) - sum_y p(y) ln p(y); 0 ln 0 is 0.
double ScoreOf(const at::Tensor& logits) {
  const double n = static_cast<double>(logits.size(0));
  at::Tensor marginal = at::zeros({logits.size(1)}, at::kDouble);
  double negative_entropy = 0;
  for (std::int64_t begin = 0; begin < logits.size(0); begin += kScoredRows) {
    const at::Tensor rows = logits.slice(0, begin, std::min(begin + kScoredRows, logits.size(0))).to(at::kDouble);
    const at::Tensor log_p = rows.log_softmax(1);
    const at::Tensor p = log_p.exp();
    marginal += p.sum(0) / n;
    negative_entropy += (p * log_p).sum().item<double>() / n;
  }
  return std::exp(negative_entropy - at::xlogy(marginal, marginal).sum().item<double>());
}

}  // namespace

MeanStd InceptionScore(const at::Tensor& logits, std::int64_t splits) {
  if (splits < 1) throw MetricError("inception score: expected at least 1 split, found {}", splits);
  CheckFeatures(logits, {"logits", splits});
  std::vector<double> scores;
  for (std::int64_t i = 0; i < splits; ++i) {
    scores.push_back(ScoreOf(logits.slice(0, i * logits.size(0) / splits, (i + 1) * logits.size(0) / splits)));
  }
  return MeanStdOf(scores);
}

}  // namespace lcsc
