#include "lcsc/search/evolution.h"

#include <algorithm>
#include <cmath>

#include "ema_candidates.h"
#include "lcsc/base/error.h"
#include "lcsc/base/philox.h"
#include "same_candidate.h"

namespace lcsc {
namespace {

constexpr std::int64_t kControlEvery = 10;

}  // namespace

Evolution::Evolution(const SearchOptions& options, std::vector<std::int64_t> steps)
    : Evolution(options, std::move(steps), Founders{}) {}

Evolution::~Evolution() = default;

Evolution::Evolution(const SearchOptions& options, std::vector<std::int64_t> steps, Founders founders)
    : options_(options),
      initial_(std::make_unique<EmaCandidates>(options, std::move(steps))),
      founders_(std::move(founders)),
      steady_state_(options.schedule == "steady-state"),
      next_id_(founders_.first_id),
      best_(options.max_parents),
      ranking_(options.max_parents) {
  constexpr std::int64_t kMaxEvaluations = std::int64_t{1} << 32;  // a candidate's id indexes its random stream
  if (planned_evaluations() >= kMaxEvaluations) {
    throw ConfigError("search.epochs x search.children: expected fewer than {} evaluations, found {}", kMaxEvaluations,
                      planned_evaluations());
  }
  if (steady_state_ && options_.racing == "best") {
    throw ConfigError(
        "search.racing: best expects search.schedule = generational, in which all children of a generation have the "
        "same "
        "witnesses, found steady-state");
  }
  for (const EvaluatedCandidate& founder : founders_.population) best_.Add(founder, {});
  LCSC_CHECK(founders_.first_id == 0 || best_.size() > 0);
  if (founders_.first_id == 0) return;
  generation_ = 1;
  ranking_ = best_;
}

std::int64_t Evolution::NumInitial() const { return founders_.first_id > 0 ? founders_.first_id : initial_->size(); }

std::int64_t Evolution::FirstIdOf(std::int64_t generation) const {
  if (generation == 0) return 0;
  return NumInitial() + (generation - 1) * options_.children;
}

std::int64_t Evolution::GenerationOf(std::int64_t id) const {
  return id < NumInitial() ? 0 : 1 + (id - NumInitial()) / options_.children;
}

std::int64_t Evolution::planned_evaluations() const { return FirstIdOf(options_.epochs + 1); }

double Evolution::MutationStd(std::int64_t generation) const {
  const double halvings =
      options_.mutation_decay > 0 ? static_cast<double>(generation - 1) / options_.mutation_decay : 0.0;
  return options_.mutation_std / std::sqrt(static_cast<double>(initial_->num_checkpoints())) * std::exp2(-halvings);
}

Candidate Evolution::Child(std::int64_t id) const {
  RandomStream random({.purpose = RandomPurpose::kCandidate,
                       .seed = static_cast<std::uint64_t>(options_.seed),
                       .index = static_cast<std::uint64_t>(id)});
  const std::uint64_t num_parents = Ranking().size();
  const std::uint64_t first = random.NextBelow(num_parents);
  std::uint64_t second = first;
  if (num_parents > 1) {
    second = random.NextBelow(num_parents - 1);
    if (second >= first) ++second;
  }
  const Candidate& father = Ranking().parent(first).candidate;
  const Candidate& mother = Ranking().parent(second).candidate;
  const bool mixed = random.NextUniform() < options_.crossover_rate;
  Candidate child{.id = id,
                  .generation = GenerationOf(id),
                  .coefficients = father.coefficients,
                  .parents = {father.id, mixed ? mother.id : father.id}};
  const double noise_std = MutationStd(child.generation);
  for (std::size_t i = 1; i < child.coefficients.size(); ++i) {
    if (mixed && random.NextUniform() < 0.5) child.coefficients[i] = mother.coefficients[i];
    child.coefficients[i] += noise_std * random.NextNormal();
  }
  CompleteFirst(child.coefficients);
  Restrict(child.coefficients, RestrictionOf(options_.restriction));
  if (options_.racing != "off") SetBars(child);
  return child;
}

// While there are fewer parents, every score makes one. Where nearly all are stopped, those that are not keep the
// witnesses near to where the search is.
void Evolution::SetBars(Candidate& child) const {
  const Standings& standings = Ranking();
  if (!standings.is_full() || standings.witnesses().empty()) return;
  const bool for_best = options_.racing == "best";
  if (for_best && (child.id - NumInitial()) % kControlEvery == 0) return;
  const double target = for_best ? standings.best_score() : standings.last_score();
  child.bars = RaceBars(standings.witnesses(), target, options_.race_risk);
}

Candidate Evolution::Draw(std::int64_t id) const {
  Candidate candidate = GenerationOf(id) == 0 ? initial_->At(id) : Child(id);
  if (steady_state_) candidate.seen = NumTold();
  return candidate;
}

bool Evolution::IsDue(std::int64_t id) const {
  if (GenerationOf(id) == 0) return true;
  return steady_state_ ? best_.size() > 0 : GenerationOf(id) <= generation_;
}

std::optional<Candidate> Evolution::Ask() {
  if (!again_.empty()) {
    const std::int64_t id = again_.front();
    again_.pop_front();
    return asked_.at(id);
  }
  while (told_.contains(next_id_)) ++next_id_;
  if (next_id_ >= planned_evaluations() || !IsDue(next_id_)) return std::nullopt;
  const std::int64_t id = next_id_++;
  return asked_[id] = Draw(id);
}

void Evolution::Tell(std::int64_t candidate_id, const Outcome& outcome) {
  const auto asked = asked_.find(candidate_id);
  LCSC_CHECK(asked != asked_.end());
  LCSC_CHECK(!outcome.score || std::isfinite(*outcome.score));
  EvaluatedCandidate member{.candidate = std::move(asked->second), .outcome = outcome};
  if (steady_state_) member.order = NumTold();
  asked_.erase(asked);
  const EvaluatedCandidate& told = told_[candidate_id] = std::move(member);
  if (options_.racing == "best" || !IsStopped(outcome)) best_.Add(told, Ranking().witnesses());
  if (NumTold() == NumInitial()) RankInitial(told_);  // throws when none has a score
  if (NumTold() < FirstIdOf(generation_ + 1)) return;
  ++generation_;
  ranking_ = best_;
}

SearchState Evolution::State() const {
  SearchState state;
  state.population.reserve(told_.size());
  for (const auto& [id, member] : told_) state.population.push_back(member);
  if (!steady_state_) return state;
  for (const auto& [id, candidate] : asked_) state.in_flight.push_back(candidate);
  return state;
}

void Evolution::Readmit(const Candidate& saved) {
  const Candidate drawn = Draw(saved.id);
  if (!IsSameCandidate(drawn, saved)) RefuseOtherCandidate(saved.id);
  asked_[saved.id] = saved;
  asked_[saved.id].bars = drawn.bars;
}

void Evolution::Restore(const SearchState& saved) {
  LCSC_CHECK(told_.empty() && asked_.empty());
  steady_state_ ? RestoreOrder(saved) : RestoreGenerations(saved);
}

void Evolution::RestoreGenerations(const SearchState& saved) {
  for (const auto& [candidate, outcome, order] : saved.population) {
    const std::int64_t id = candidate.id;
    const bool due = id >= FirstIdOf(generation_) && id < FirstIdOf(generation_ + 1) && !told_.contains(id);
    if (!due) throw InputError("the saved population has candidate {} where generation {} is due", id, generation_);
    Readmit(candidate);
    Tell(id, outcome);
  }
}

// Everything happens again as it did: before the t-th outcome is told, those candidates are drawn that saw t outcomes.
void Evolution::RestoreOrder(const SearchState& saved) {
  std::vector<const Candidate*> drawn;
  std::vector<const EvaluatedCandidate*> told;
  for (const EvaluatedCandidate& member : saved.population) {
    drawn.push_back(&member.candidate);
    told.push_back(&member);
  }
  for (const Candidate& candidate : saved.in_flight) {
    drawn.push_back(&candidate);
    again_.push_back(candidate.id);
  }
  std::sort(drawn.begin(), drawn.end(), [](const auto* a, const auto* b) { return a->id < b->id; });
  std::sort(told.begin(), told.end(), [](const auto* a, const auto* b) { return a->order < b->order; });
  std::size_t next = 0;
  const auto draw = [&] {
    for (; next < drawn.size() && drawn[next]->seen == NumTold(); ++next, ++next_id_) {
      if (drawn[next]->id != next_id_ || !IsDue(next_id_)) {
        throw InputError("the saved population has candidate {} where {} is due", drawn[next]->id, next_id_);
      }
      Readmit(*drawn[next]);
    }
  };
  for (const EvaluatedCandidate* member : told) {
    draw();
    const std::int64_t id = member->candidate.id;
    if (member->order != NumTold() || !asked_.contains(id)) {
      throw InputError("the saved population has no usable order: candidate {} where outcome {} is due", id, NumTold());
    }
    Tell(id, member->outcome);
  }
  draw();
  if (next < drawn.size()) {
    throw InputError("the saved population has {} candidates of which only {} can have been drawn", drawn.size(), next);
  }
}

}  // namespace lcsc
