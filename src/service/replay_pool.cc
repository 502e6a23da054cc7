#include "lcsc/service/replay_pool.h"

#include "lcsc/base/error.h"

namespace lcsc {

ReplayPool::ReplayPool(EvaluationPool& pool, const std::vector<EvaluatedCandidate>& recorded)
    : pool_(pool), id_at_(recorded.size(), -1) {
  for (const auto& [candidate, outcome, order] : recorded) {
    const auto place = static_cast<std::size_t>(order.value_or(-1));
    if (!candidate.seen || candidate.id != static_cast<std::int64_t>(seen_.size()) || place >= id_at_.size() ||
        id_at_[place] != -1) {
      throw InputError("cannot replay: candidate {} has no usable order; expected a finished steady-state search",
                       candidate.id);
    }
    seen_.push_back(*candidate.seen);
    id_at_[place] = candidate.id;
  }
}

bool ReplayPool::HasRoom() const {
  return submitted_ < seen_.size() && seen_[submitted_] == static_cast<std::int64_t>(handed_on_) && pool_.HasRoom();
}

void ReplayPool::Submit(const Candidate& candidate) {
  LCSC_CHECK(HasRoom() && candidate.id == static_cast<std::int64_t>(submitted_));
  ++submitted_;
  pool_.Submit(candidate);
}

std::optional<EvaluationPool::Result> ReplayPool::Wait(double timeout_s) {
  if (handed_on_ == id_at_.size()) return std::nullopt;
  // Those who saw no more than this must have been asked for before it goes on.
  const bool someone_is_due = submitted_ < seen_.size() && seen_[submitted_] == static_cast<std::int64_t>(handed_on_);
  const auto next = waiting_.find(id_at_[handed_on_]);
  if (someone_is_due || next == waiting_.end()) {
    if (auto result = pool_.Wait(timeout_s)) waiting_[result->candidate_id] = std::move(*result);
    return std::nullopt;
  }
  ++handed_on_;
  Result result = std::move(next->second);
  waiting_.erase(next);
  return result;
}

}  // namespace lcsc
