#include "lcsc/search/evolution.h"

#include <algorithm>
#include <cmath>

#include "lcsc/base/error.h"
#include "lcsc/base/philox.h"

namespace lcsc {
namespace {

// The saved candidate is the truth: another machine's mathematical library may differ in the last bits.
bool SameCandidate(const Candidate& expected, const Candidate& saved) {
  constexpr double kLastBits = 1e-9;
  const auto close = [](double a, double b) { return std::abs(a - b) <= kLastBits * std::max(1.0, std::abs(a)); };
  return expected.generation == saved.generation && expected.parents == saved.parents &&
         std::equal(expected.coefficients.begin(), expected.coefficients.end(), saved.coefficients.begin(),
                    saved.coefficients.end(), close);
}

}  // namespace

Evolution::Evolution(const SearchOptions& options, std::vector<std::int64_t> steps)
    : options_(options),
      steps_(std::move(steps)),
      ema_rates_(options.ema_rates.empty() ? DefaultEmaRates(steps_) : options.ema_rates) {
  LCSC_CHECK(steps_.size() >= 2);
  constexpr std::int64_t kMaxEvaluations = std::int64_t{1} << 32;  // a candidate's id indexes its random stream
  if (planned_evaluations() >= kMaxEvaluations) {
    throw ConfigError("search.epochs x search.children: expected fewer than {} evaluations, found {}", kMaxEvaluations,
                      planned_evaluations());
  }
  for (const double rate : ema_rates_) {
    if (rate >= 1) throw ConfigError("search.ema_rates: expected rates in [0, 1), found {}", rate);
  }
}

std::int64_t Evolution::FirstIdOf(std::int64_t generation) const {
  if (generation == 0) return 0;
  return static_cast<std::int64_t>(ema_rates_.size()) + (generation - 1) * options_.children;
}

std::int64_t Evolution::planned_evaluations() const { return FirstIdOf(options_.epochs + 1); }

double Evolution::MutationStd(std::int64_t generation) const {
  const double halvings =
      options_.mutation_decay > 0 ? static_cast<double>(generation - 1) / options_.mutation_decay : 0.0;
  return options_.mutation_std / std::sqrt(static_cast<double>(steps_.size())) * std::exp2(-halvings);
}

Candidate Evolution::Initial(std::int64_t id) const {
  const double rate = ema_rates_[static_cast<std::size_t>(id)];
  return {.id = id, .generation = 0, .coefficients = EmaCoefficients(rate, steps_), .ema_rate = rate};
}

Candidate Evolution::Child(std::int64_t id) const {
  RandomStream random({.purpose = RandomPurpose::kCandidate,
                       .seed = static_cast<std::uint64_t>(options_.seed),
                       .index = static_cast<std::uint64_t>(id)});
  const std::uint64_t num_parents = parents_.size();
  const std::uint64_t first = random.NextBelow(num_parents);
  std::uint64_t second = first;
  if (num_parents > 1) {
    second = random.NextBelow(num_parents - 1);
    if (second >= first) ++second;
  }
  const Candidate& father = parents_[first]->candidate;
  const Candidate& mother = parents_[second]->candidate;
  const bool mixed = random.NextUniform() < options_.crossover_rate;
  Candidate child{.id = id,
                  .generation = generation_,
                  .coefficients = father.coefficients,
                  .parents = {father.id, mixed ? mother.id : father.id}};
  const double noise_std = MutationStd(generation_);
  for (std::size_t i = 1; i < child.coefficients.size(); ++i) {
    if (mixed && random.NextUniform() < 0.5) child.coefficients[i] = mother.coefficients[i];
    child.coefficients[i] += noise_std * random.NextNormal();
  }
  CompleteFirst(child.coefficients);
  return child;
}

std::optional<Candidate> Evolution::Ask() {
  if (Finished()) return std::nullopt;
  for (std::int64_t id = FirstIdOf(generation_); id < FirstIdOf(generation_ + 1); ++id) {
    if (told_.contains(id) || asked_.contains(id)) continue;
    return asked_[id] = generation_ == 0 ? Initial(id) : Child(id);
  }
  return std::nullopt;
}

void Evolution::Tell(std::int64_t candidate_id, const Outcome& outcome) {
  const auto asked = asked_.find(candidate_id);
  LCSC_CHECK(asked != asked_.end());
  LCSC_CHECK(!outcome.score || std::isfinite(*outcome.score));
  told_[candidate_id] = {std::move(asked->second), outcome};
  asked_.erase(asked);
  const std::int64_t end = FirstIdOf(generation_ + 1);
  if (static_cast<std::int64_t>(told_.size()) == end) StartGeneration(generation_ + 1);
}

void Evolution::StartGeneration(std::int64_t generation) {
  generation_ = generation;
  std::vector<const EvaluatedCandidate*> ranked;
  for (const auto& [id, member] : told_) {
    if (member.outcome.score) ranked.push_back(&member);
  }
  if (ranked.empty()) {
    throw InputError("none of the {} initial candidates has a score; the first failed with: {}", told_.size(),
                     told_.begin()->second.outcome.failure);
  }
  std::sort(ranked.begin(), ranked.end(), [](const auto* a, const auto* b) { return RanksBefore(*a, *b); });
  ranked.resize(std::min(ranked.size(), static_cast<std::size_t>(options_.max_parents)));
  parents_ = std::move(ranked);
}

std::vector<EvaluatedCandidate> Evolution::Population() const {
  std::vector<EvaluatedCandidate> population;
  population.reserve(told_.size());
  for (const auto& [id, member] : told_) population.push_back(member);
  return population;
}

void Evolution::Restore(const std::vector<EvaluatedCandidate>& population) {
  LCSC_CHECK(told_.empty() && asked_.empty());
  for (const EvaluatedCandidate& saved : population) {
    const std::int64_t id = saved.candidate.id;
    const bool due = id >= FirstIdOf(generation_) && id < FirstIdOf(generation_ + 1) && !told_.contains(id);
    if (!due) throw InputError("the saved population has candidate {} where generation {} is due", id, generation_);
    if (!SameCandidate(generation_ == 0 ? Initial(id) : Child(id), saved.candidate)) {
      throw InputError("the saved candidate {} is not the one that these options give; was the run directory changed?",
                       id);
    }
    asked_[id] = saved.candidate;
    Tell(id, saved.outcome);
  }
}

}  // namespace lcsc
