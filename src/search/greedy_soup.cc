#include "lcsc/search/greedy_soup.h"

#include <algorithm>

#include "lcsc/base/error.h"

namespace lcsc {

GreedySoup::GreedySoup(std::vector<std::size_t> order, double score, std::size_t num_checkpoints)
    : order_(std::move(order)), score_(score), num_checkpoints_(num_checkpoints) {
  LCSC_CHECK(!order_.empty() && *std::ranges::max_element(order_) < num_checkpoints_);
  ingredients_ = {order_.front()};
}

Coefficients GreedySoup::AverageOf(const std::vector<std::size_t>& checkpoints) const {
  Coefficients coefficients(num_checkpoints_);
  for (const std::size_t checkpoint : checkpoints) {
    coefficients[checkpoint] = 1 / static_cast<double>(checkpoints.size());
  }
  return coefficients;
}

std::vector<Coefficients> GreedySoup::Trials(std::size_t max_count) const {
  std::vector<Coefficients> trials;
  for (std::size_t i = next_; i < order_.size() && trials.size() < max_count; ++i) {
    std::vector<std::size_t> with = ingredients_;
    with.push_back(order_[i]);
    trials.push_back(AverageOf(with));
  }
  return trials;
}

void GreedySoup::Tell(const std::vector<std::optional<double>>& scores) {
  LCSC_CHECK(scores.size() <= order_.size() - next_);
  for (const std::optional<double>& score : scores) {
    const std::size_t checkpoint = order_[next_++];
    if (!score || *score > score_) continue;
    ingredients_.push_back(checkpoint);
    score_ = *score;
    return;
  }
}

}  // namespace lcsc
