#include "lcsc/search/standings.h"

#include <algorithm>
#include <tuple>

namespace lcsc {
namespace {

constexpr std::size_t kMostWitnesses = 32;

}  // namespace

void Standings::Add(const EvaluatedCandidate& member, const Witnesses& of_race) {
  const std::optional<double> score =
      IsStopped(member.outcome) ? EstimatedScore(member.outcome, of_race) : member.outcome.score;
  if (!score) return;
  const auto place = std::ranges::find_if(parents_, [&](const Parent& other) {
    return std::tuple(*score, member.candidate.id) < std::tuple(other.score, other.member->candidate.id);
  });
  parents_.insert(place, {*score, &member});
  if (parents_.size() > max_parents_) parents_.pop_back();
  if (!member.outcome.score) return;
  if (best_ == nullptr || RanksBefore(member, *best_)) best_ = &member;
  const auto among =
      std::ranges::find_if(witnesses_, [&](const auto* other) { return member.candidate.id > other->candidate.id; });
  witnesses_.insert(among, &member);
  if (witnesses_.size() > kMostWitnesses) witnesses_.pop_back();
}

}  // namespace lcsc
