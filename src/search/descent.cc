#include "lcsc/search/descent.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ema_candidates.h"
#include "lcsc/base/error.h"
#include "same_candidate.h"

namespace lcsc {
namespace {

constexpr int kMostSetbacks = 3;

double AdamMean(double& mean, double value, double decay, int steps) {
  mean = decay * mean + (1 - decay) * value;
  return mean / (1 - std::pow(decay, steps));
}

}  // namespace

Descent::Descent(const SearchOptions& options, std::vector<std::int64_t> steps)
    : options_(options),
      initial_(std::make_unique<EmaCandidates>(options, std::move(steps))),
      most_steps_(options.gradient_steps) {
  if (options_.schedule != "generational") {
    throw ConfigError("search.schedule: search.strategy = {} knows no other than generational, found {}",
                      options_.strategy, options_.schedule);
  }
  if (options_.gradient_steps % options_.judge_every != 0) {
    throw ConfigError("search.gradient_steps: expected a multiple of search.judge_every = {}, found {}",
                      options_.judge_every, options_.gradient_steps);
  }
}

Descent::~Descent() = default;

std::int64_t Descent::NumInitial() const { return initial_->size(); }

std::int64_t Descent::id_bound() const { return NumInitial() + 2 * (options_.gradient_steps + 1) * options_.starts; }

// Of x_t of each path: its gradient, then its score.
std::int64_t Descent::GradientId(std::size_t path) const {
  const auto num_paths = static_cast<std::int64_t>(paths_.size());
  return NumInitial() + 2 * (paths_[path].t * num_paths + static_cast<std::int64_t>(path));
}

std::vector<Candidate> Descent::Due() const {
  std::vector<Candidate> due;
  if (paths_.empty()) {
    for (std::int64_t id = 0; id < NumInitial(); ++id) due.push_back(initial_->At(id));
    return due;
  }
  for (std::size_t i = 0; i < paths_.size(); ++i) {
    const Path& path = paths_[i];
    if (path.ended) continue;
    Candidate candidate{.id = GradientId(i),
                        .generation = path.t + 1,
                        .coefficients = path.point,
                        .parents = {path.parent, path.parent},
                        .noise_block = 1 + path.t % options_.noise_blocks,
                        .wants_gradient = true};
    if (NeedsGradient(path)) due.push_back(candidate);
    if (!NeedsScore(path)) continue;
    ++candidate.id;
    candidate.noise_block = 0;
    candidate.wants_gradient = false;
    due.push_back(std::move(candidate));
  }
  return due;
}

std::optional<Candidate> Descent::Ask() {
  for (Candidate& candidate : Due()) {
    if (told_.contains(candidate.id) || asked_.contains(candidate.id)) continue;
    return asked_[candidate.id] = std::move(candidate);
  }
  return std::nullopt;
}

void Descent::Tell(std::int64_t candidate_id, const Outcome& outcome) {
  const auto asked = asked_.find(candidate_id);
  LCSC_CHECK(asked != asked_.end());
  LCSC_CHECK(!outcome.score || std::isfinite(*outcome.score));
  told_[candidate_id] = {.candidate = std::move(asked->second), .outcome = outcome};
  asked_.erase(asked);
  if (paths_.empty()) {
    if (static_cast<std::int64_t>(told_.size()) == NumInitial()) Begin();
    return;
  }
  const auto num_paths = static_cast<std::int64_t>(paths_.size());
  Path& path = paths_[static_cast<std::size_t>((candidate_id - NumInitial()) / 2 % num_paths)];
  const bool is_gradient = (candidate_id - NumInitial()) % 2 == 0;
  (is_gradient ? path.gradient : path.score) = outcome;
  const bool knows_gradient = path.gradient || !NeedsGradient(path), knows_score = path.score || !NeedsScore(path);
  if (knows_gradient && knows_score) Advance(path, is_gradient ? candidate_id : candidate_id - 1);
}

void Descent::Begin() {
  std::vector<const EvaluatedCandidate*> ranking = RankInitial(told_);
  ranking.resize(std::min(ranking.size(), static_cast<std::size_t>(options_.starts)));
  for (const EvaluatedCandidate* start : ranking) {
    const Coefficients& point = start->candidate.coefficients;
    paths_.push_back({.point = point,
                      .parent = start->candidate.id,
                      .start = point,
                      .best = point,
                      .best_score = *start->outcome.score,
                      .step = options_.learning_rate,
                      .first_moments = std::vector<double>(point.size()),
                      .second_moments = std::vector<double>(point.size()),
                      .ended = most_steps_ == 0});
  }
}

// The point's outcomes are there: on to the next one.
void Descent::Advance(Path& path, std::int64_t gradient_id) {
  Judge(path);
  const bool has_gradient =
      path.gradient && path.gradient->score && path.gradient->gradient.size() == path.point.size();
  if (!NeedsGradient(path) || (!has_gradient && path.point == path.best)) {
    path.ended = true;
  } else if (path.stale >= options_.patience || !has_gradient) {
    GoBack(path);
  } else {
    TakeStep(path);
  }
  path.parent = gradient_id;
  path.gradient.reset();
  path.score.reset();
  ++path.t;
  if (!NeedsGradient(path) && path.is_judged) path.ended = true;  // it went back, and there is no step left
}

void Descent::Judge(Path& path) const {
  const bool has_score = NeedsScore(path);
  path.is_judged = false;
  if (!has_score) return;
  if (!path.score->score || *path.score->score >= path.best_score) {
    ++path.stale;
    return;
  }
  path.best_score = *path.score->score;
  path.best = path.point;
  path.stale = 0;
}

void Descent::GoBack(Path& path) const {
  path.point = path.best;
  path.step /= 2;
  path.stale = 0;
  path.is_judged = true;
  path.adam_steps = 0;
  std::ranges::fill(path.first_moments, 0.0);
  std::ranges::fill(path.second_moments, 0.0);
  path.ended = ++path.setbacks >= kMostSetbacks;
}

// dF/da_i, which is 0 for a_1, and the derivatives of regularisation |a - a_start|^2.
std::vector<double> Descent::RegularisedGradient(const Path& path) const {
  std::vector<double> gradient = path.gradient->gradient;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    gradient[i] += 2 * options_.regularisation * (path.point[i] - path.start[i]);
  }
  return gradient;
}

void Descent::TakeStep(Path& path) const {
  constexpr double kSecondDecay = 0.999, kSmallest = 1e-8;
  ++path.adam_steps;
  const std::vector<double> gradient = RegularisedGradient(path);
  for (std::size_t i = 1; i < path.point.size(); ++i) {
    const double slope = gradient[i] - gradient[i - 1];
    const double first = AdamMean(path.first_moments[i], slope, options_.momentum, path.adam_steps);
    const double second = AdamMean(path.second_moments[i], slope * slope, kSecondDecay, path.adam_steps);
    const double move = path.step * first / (std::sqrt(second) + kSmallest);
    path.point[i] -= move;
    path.point[i - 1] += move;
  }
  CompleteFirst(path.point);
}

bool Descent::Finished() const {
  return !paths_.empty() && std::ranges::all_of(paths_, [](const Path& path) { return path.ended; });
}

std::int64_t Descent::planned_evaluations() const {
  if (Finished()) return static_cast<std::int64_t>(told_.size());
  const std::int64_t starts = std::min(options_.starts, NumInitial());
  return NumInitial() + starts * (most_steps_ + most_steps_ / options_.judge_every);
}

SearchState Descent::State() const {
  SearchState state;
  for (const auto& [id, member] : told_) state.population.push_back(member);
  return state;
}

void Descent::Admit(Candidate saved) {
  for (const Candidate& due : Due()) {
    if (due.id != saved.id || told_.contains(saved.id)) continue;
    if (!IsSameCandidate(due, saved)) RefuseOtherCandidate(saved.id);
    asked_[saved.id] = std::move(saved);
    return;
  }
  throw InputError("the saved population has candidate {}, which is not due there", saved.id);
}

void Descent::Restore(const SearchState& saved) {
  LCSC_CHECK(told_.empty() && asked_.empty());
  for (const EvaluatedCandidate& member : saved.population) {
    if (member.candidate.wants_gradient) most_steps_ = std::max(most_steps_, member.candidate.generation);
  }
  for (const EvaluatedCandidate& member : saved.population) {
    const bool has_gradient = member.outcome.gradient.size() == member.candidate.coefficients.size();
    if (member.candidate.wants_gradient && member.outcome.score && !has_gradient) {
      throw InputError("the saved candidate {} has no gradient; was it written by another version?",
                       member.candidate.id);
    }
    Admit(member.candidate);
    Tell(member.candidate.id, member.outcome);
  }
  EndAt(options_.gradient_steps);
}

// Fewer steps than before: what went beyond has ended.
void Descent::EndAt(std::int64_t most_steps) {
  most_steps_ = most_steps;
  for (Path& path : paths_) {
    if (path.t > most_steps || (path.t == most_steps && (path.score || path.is_judged))) path.ended = true;
  }
}

}  // namespace lcsc
