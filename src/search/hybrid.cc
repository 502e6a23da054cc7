#include "lcsc/search/hybrid.h"

#include "lcsc/base/error.h"

namespace lcsc {

Hybrid::Hybrid(const SearchOptions& options, std::vector<std::int64_t> steps)
    : options_(options), steps_(std::move(steps)), descent_(options_, steps_) {
  Evolution(options_, steps_);  // says what is wrong with its options
}

std::optional<Candidate> Hybrid::Ask() { return evolution_ ? evolution_->Ask() : descent_.Ask(); }

void Hybrid::Tell(std::int64_t candidate_id, const Outcome& outcome) {
  if (evolution_) {
    evolution_->Tell(candidate_id, outcome);
    return;
  }
  descent_.Tell(candidate_id, outcome);
  if (descent_.Finished()) BeginEvolution();
}

void Hybrid::BeginEvolution() {
  Evolution::Founders founders{.population = {}, .first_id = descent_.id_bound()};
  for (EvaluatedCandidate& member : descent_.State().population) {
    if (!member.candidate.wants_gradient) founders.population.push_back(std::move(member));
  }
  evolution_ = std::make_unique<Evolution>(options_, steps_, std::move(founders));
}

std::int64_t Hybrid::planned_evaluations() const {
  return descent_.planned_evaluations() + options_.epochs * options_.children;
}

SearchState Hybrid::State() const {
  SearchState state = descent_.State();
  if (!evolution_) return state;
  for (EvaluatedCandidate& member : evolution_->State().population) state.population.push_back(std::move(member));
  return state;
}

void Hybrid::Restore(const SearchState& saved) {
  SearchState of_descent, of_evolution;
  for (const EvaluatedCandidate& member : saved.population) {
    (member.candidate.id < descent_.id_bound() ? of_descent : of_evolution).population.push_back(member);
  }
  descent_.Restore(of_descent);
  if (descent_.Finished()) BeginEvolution();
  if (of_evolution.population.empty()) return;
  if (!evolution_) {
    throw InputError(
        "the saved population goes beyond descents of {} steps; expected the search.gradient_steps that "
        "it began with",
        options_.gradient_steps);
  }
  evolution_->Restore(of_evolution);
}

}  // namespace lcsc
