#include "lcsc/service/model_pool.h"

#include <algorithm>

#include "lcsc/base/error.h"

namespace lcsc {

ModelPool::ModelPool(const Options& options, const SimulatedProblem& problem)
    : options_(options),
      problem_(problem),
      group_free_s_(static_cast<std::size_t>(options.num_groups)),
      load_(static_cast<std::size_t>(options.num_groups)) {
  LCSC_CHECK(options.num_groups >= 1 && options.queue_depth >= 1);
  for (int group = 0; group < options.num_groups; ++group) by_load_.insert({0, group});
}

void ModelPool::MasterWorks(double from_s) {
  master_free_s_ = from_s + options_.master_seconds / 2;
  master_busy_s_ += options_.master_seconds / 2;
}

void ModelPool::Submit(const Candidate& candidate) {
  LCSC_CHECK(HasRoom());
  MasterWorks(master_free_s_);
  const int group = by_load_.begin()->second;
  const auto place = static_cast<std::size_t>(group);
  by_load_.erase(by_load_.begin());
  by_load_.insert({++load_[place], group});
  // The group's queue is first in, first out, so its whole future is known when a candidate enters it.
  Outcome outcome{.score = problem_.Score(candidate.coefficients), .failure = "", .seconds = {}};
  outcome.seconds.sample = problem_.Duration(candidate.id);
  const double begin_s = std::max(group_free_s_[place], master_free_s_ + options_.latency_seconds);
  group_free_s_[place] = begin_s + outcome.seconds.sample;
  busy_s_ += outcome.seconds.sample;
  arrivals_.push({.at_s = group_free_s_[place] + options_.latency_seconds,
                  .sequence = submitted_++,
                  .result = {.candidate_id = candidate.id, .group = group, .outcome = std::move(outcome)}});
}

std::optional<EvaluationPool::Result> ModelPool::Wait(double timeout_s) {
  if (arrivals_.empty()) return std::nullopt;
  if (timeout_s == 0 && arrivals_.top().at_s > master_free_s_) return std::nullopt;
  const Arrival arrival = arrivals_.top();
  arrivals_.pop();
  MasterWorks(std::max(master_free_s_, arrival.at_s));
  const int group = arrival.result.group;
  int& load = load_[static_cast<std::size_t>(group)];
  by_load_.erase({load, group});
  by_load_.insert({--load, group});
  return arrival.result;
}

double ModelPool::Utilisation() const { return seconds() > 0 ? busy_s_ / (seconds() * options_.num_groups) : 0; }

}  // namespace lcsc
