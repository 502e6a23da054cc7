#include "lcsc/search/cma_es.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <pagmo/algorithms/cmaes.hpp>
#include <pagmo/population.hpp>
#include <pagmo/problem.hpp>

#include "ema_candidates.h"
#include "lcsc/base/error.h"
#include "lcsc/base/philox.h"
#include "same_candidate.h"

namespace lcsc {
namespace {

using pagmo::vector_double;

constexpr std::int64_t kFewestChildren = 5;  // of pagmo's

// What passes between pagmo, which calls for fitness, and us, who are asked and told.
struct Exchange {
  std::vector<vector_double> asked;
  std::vector<double> answers;  // empty while pagmo is only to say what it asks
};

// pagmo scales the first distribution by the width of the bounds, here 1, and does not enforce them.
struct CoefficientProblem {
  std::shared_ptr<Exchange> exchange;
  vector_double centre;

  vector_double fitness(const vector_double& point) const {
    const std::size_t place = exchange->asked.size();
    exchange->asked.push_back(point);
    return {exchange->answers.empty() ? 0.0 : exchange->answers.at(place)};
  }
  std::pair<vector_double, vector_double> get_bounds() const {
    vector_double lower = centre, upper = centre;
    for (double& x : lower) x -= 0.5;
    for (double& x : upper) x += 0.5;
    return {lower, upper};
  }
};

unsigned SeedOf(const SearchOptions& options) {
  RandomStream random(
      {.purpose = RandomPurpose::kCandidate, .seed = static_cast<std::uint64_t>(options.seed), .index = 0});
  return static_cast<unsigned>(random.NextBelow(std::uint64_t{1} << 32));
}

}  // namespace

class CmaEs::Distribution {
 public:
  Distribution(const SearchOptions& options, const EvaluatedCandidate& best)
      : centre_(best.candidate.coefficients.begin() + 1, best.candidate.coefficients.end()),
        algorithm_(/*gen=*/1, /*cc=*/-1, /*cs=*/-1, /*c1=*/-1, /*cmu=*/-1,
                   options.mutation_std / std::sqrt(static_cast<double>(centre_.size() + 1)), /*ftol=*/0, /*xtol=*/0,
                   /*memory=*/true, /*force_bounds=*/false, SeedOf(options)),
        population_(pagmo::problem(CoefficientProblem{exchange_, centre_}), 0, SeedOf(options)) {
    for (std::int64_t i = 0; i < options.children; ++i) population_.push_back(centre_, {*best.outcome.score});
  }

  // A copy of the algorithm, its random numbers and all, shows what the algorithm itself will ask.
  std::vector<vector_double> Draw() const {
    exchange_->answers.clear();
    return Evolved(pagmo::cmaes(algorithm_)).asked;
  }
  // scores: of what Draw returned.
  void Learn(std::vector<double> scores) {
    exchange_->answers = std::move(scores);
    population_ = Evolved(algorithm_).population;
  }

 private:
  struct Result {
    pagmo::population population;
    std::vector<vector_double> asked;
  };
  Result Evolved(const pagmo::cmaes& algorithm) const {
    exchange_->asked.clear();
    pagmo::population population = algorithm.evolve(population_);
    LCSC_CHECK(exchange_->asked.size() == population_.size());
    return {std::move(population), std::move(exchange_->asked)};
  }

  vector_double centre_;
  std::shared_ptr<Exchange> exchange_ = std::make_shared<Exchange>();
  pagmo::cmaes algorithm_;
  pagmo::population population_;
};

CmaEs::CmaEs(const SearchOptions& options, std::vector<std::int64_t> steps)
    : options_(options), initial_(std::make_unique<EmaCandidates>(options, std::move(steps))) {
  if (options_.schedule != "generational") {
    throw ConfigError("search.schedule: search.strategy = cma-es knows no other than generational, found {}",
                      options_.schedule);
  }
  if (options_.children < kFewestChildren) {
    throw ConfigError("search.children: search.strategy = cma-es expects at least {}, found {}", kFewestChildren,
                      options_.children);
  }
  if (options_.mutation_std <= 0) {
    throw ConfigError("search.mutation_std: search.strategy = cma-es expects more than 0, found {}",
                      options_.mutation_std);
  }
}

CmaEs::~CmaEs() = default;

std::int64_t CmaEs::FirstIdOf(std::int64_t generation) const {
  return generation == 0 ? 0 : initial_->size() + (generation - 1) * options_.children;
}

Candidate CmaEs::Draw(std::int64_t id) const {
  if (generation_ == 0) return initial_->At(id);
  const vector_double& point = points_.at(static_cast<std::size_t>(id - FirstIdOf(generation_)));
  Candidate candidate{.id = id, .generation = generation_, .coefficients = {0.0}};
  candidate.coefficients.insert(candidate.coefficients.end(), point.begin(), point.end());
  CompleteFirst(candidate.coefficients);
  return candidate;
}

std::optional<Candidate> CmaEs::Ask() {
  if (Finished()) return std::nullopt;
  for (std::int64_t id = FirstIdOf(generation_); id < FirstIdOf(generation_ + 1); ++id) {
    if (!told_.contains(id) && !asked_.contains(id)) return asked_[id] = Draw(id);
  }
  return std::nullopt;
}

void CmaEs::Tell(std::int64_t candidate_id, const Outcome& outcome) {
  const auto asked = asked_.find(candidate_id);
  LCSC_CHECK(asked != asked_.end());
  LCSC_CHECK(!outcome.score || std::isfinite(*outcome.score));
  told_[candidate_id] = {.candidate = std::move(asked->second), .outcome = outcome};
  asked_.erase(asked);
  if (static_cast<std::int64_t>(told_.size()) == FirstIdOf(generation_ + 1)) EndGeneration();
}

void CmaEs::EndGeneration() {
  if (generation_ == 0) {
    distribution_ = std::make_unique<Distribution>(options_, *RankInitial(told_).front());
  } else {
    std::vector<double> scores;
    for (std::int64_t id = FirstIdOf(generation_); id < FirstIdOf(generation_ + 1); ++id) {
      scores.push_back(told_.at(id).outcome.score.value_or(std::numeric_limits<double>::max()));
    }
    distribution_->Learn(std::move(scores));
  }
  ++generation_;
  points_ = distribution_->Draw();
}

SearchState CmaEs::State() const {
  SearchState state;
  for (const auto& [id, member] : told_) state.population.push_back(member);
  return state;
}

void CmaEs::Restore(const SearchState& saved) {
  LCSC_CHECK(told_.empty() && asked_.empty());
  for (const EvaluatedCandidate& member : saved.population) {
    const std::int64_t id = member.candidate.id;
    if (id < FirstIdOf(generation_) || id >= FirstIdOf(generation_ + 1) || told_.contains(id)) {
      throw InputError("the saved population has candidate {} where generation {} is due", id, generation_);
    }
    if (!IsSameCandidate(Draw(id), member.candidate)) RefuseOtherCandidate(id);
    asked_[id] = member.candidate;
    Tell(id, member.outcome);
  }
}

}  // namespace lcsc
