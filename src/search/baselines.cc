#include "lcsc/search/baselines.h"

#include <algorithm>
#include <sstream>

#include "lcsc/base/error.h"
#include "lcsc/config/nearest.h"
#include "lcsc/search/averages.h"
#include "lcsc/search/greedy_soup.h"

namespace lcsc {
namespace {

std::string StepText(std::int64_t step) { return fmt::format("step {}", step); }
std::string EmaText(double rate) { return rate == 0 ? "last checkpoint" : fmt::format("EMA {:.6g}", rate); }

std::vector<BaselineChoice> LastOf(const BaselinePlan& plan) {
  const std::size_t k = plan.steps.size();
  return {{StepText(plan.steps.back()), SingleCheckpoint({k - 1, k}), {}}};
}

std::vector<BaselineChoice> SinglesOf(const BaselinePlan& plan) {
  std::vector<BaselineChoice> choices;
  const std::size_t k = plan.steps.size();
  for (const std::size_t i : CheckpointsOf({plan.every, k})) {
    choices.push_back({StepText(plan.steps[i]), SingleCheckpoint({i, k}), {}});
  }
  return choices;
}

std::vector<BaselineChoice> EmasOf(const BaselinePlan& plan) {
  std::vector<BaselineChoice> choices;
  for (const EvaluatedCandidate& known : plan.known_emas) {
    choices.push_back({EmaText(*known.candidate.ema_rate), known.candidate.coefficients, known.outcome});
  }
  if (!choices.empty()) return choices;
  for (const double rate : plan.ema_rates) choices.push_back({EmaText(rate), EmaCoefficients(rate, plan.steps), {}});
  return choices;
}

std::vector<BaselineChoice> PostHocOf(const BaselinePlan& plan) {
  std::vector<BaselineChoice> choices;
  for (const double sigma_rel : plan.sigma_rels) {
    choices.push_back({fmt::format("sigma_rel {:.4g}", sigma_rel), PowerEmaCoefficients(sigma_rel, plan.steps), {}});
  }
  return choices;
}

std::vector<BaselineChoice> UniformsOf(const BaselinePlan& plan) {
  std::vector<BaselineChoice> choices;
  const std::size_t k = plan.steps.size();
  for (const std::size_t count : UniformCounts(k)) {
    choices.push_back({fmt::format("last {}", count), UniformCoefficients({count, k}), {}});
  }
  return choices;
}

struct Family {
  std::string name, title;
  std::vector<BaselineChoice> (*choices_of)(const BaselinePlan&);
};

// The soup's choices begin as the single checkpoints; its trials follow.
const std::vector<Family>& Families() {
  static const std::vector<Family> families = {
      {"last", "last checkpoint", LastOf},
      {"best", "best single checkpoint", SinglesOf},
      {"ema", "best EMA", EmasOf},
      {"posthoc", "post-hoc EMA", PostHocOf},
      {"uniform", "uniform average", UniformsOf},
      {"soup", "greedy soup", SinglesOf},
  };
  return families;
}

bool IsBetter(const BaselineChoice& a, const BaselineChoice& b) {
  if (a.outcome.score.has_value() != b.outcome.score.has_value()) return a.outcome.score.has_value();
  return a.outcome.score && *a.outcome.score < *b.outcome.score;
}

// Coefficients that several families have in common are evaluated once.
void EvaluateChoices(std::vector<Baseline>& baselines, const EvaluateCoefficients& evaluate) {
  std::vector<Coefficients> asked;
  std::vector<std::pair<BaselineChoice*, std::size_t>> places;
  for (Baseline& baseline : baselines) {
    for (BaselineChoice& choice : baseline.choices) {
      if (choice.outcome.score || !choice.outcome.failure.empty()) continue;
      const auto same = std::ranges::find(asked, choice.coefficients);
      places.emplace_back(&choice, static_cast<std::size_t>(same - asked.begin()));
      if (same == asked.end()) asked.push_back(choice.coefficients);
    }
  }
  const std::vector<Outcome> outcomes = evaluate(asked);
  for (const auto& [choice, place] : places) choice->outcome = outcomes[place];
}

// The positions in `singles` of those that have a score, best first.
std::vector<std::size_t> Ranked(const std::vector<BaselineChoice>& singles) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < singles.size(); ++i) {
    if (singles[i].outcome.score) order.push_back(i);
  }
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return IsBetter(singles[a], singles[b]); });
  return order;
}

void Cook(Baseline& soup, const BaselinePlan& plan, const EvaluateCoefficients& evaluate) {
  const std::vector<std::size_t> ranked = Ranked(soup.choices);
  if (ranked.empty()) return;
  const std::vector<std::size_t> checkpoints = CheckpointsOf({plan.every, plan.steps.size()});
  std::vector<std::size_t> order;
  for (const std::size_t i : ranked) order.push_back(checkpoints[i]);
  GreedySoup greedy(order, *soup.choices[ranked.front()].outcome.score, plan.steps.size());
  soup.chosen = soup.choices[ranked.front()];
  for (auto trials = greedy.Trials(plan.num_parallel); !trials.empty(); trials = greedy.Trials(plan.num_parallel)) {
    const std::vector<Outcome> outcomes = evaluate(trials);
    std::vector<std::optional<double>> scores;
    for (const Outcome& outcome : outcomes) scores.push_back(outcome.score);
    const std::size_t size_before = greedy.ingredients().size();
    greedy.Tell(scores);
    for (std::size_t i = 0; i < trials.size(); ++i) {
      soup.choices.push_back({fmt::format("{} checkpoints", size_before + 1), trials[i], outcomes[i]});
      const bool is_added = greedy.ingredients().size() > size_before && trials[i] == greedy.coefficients();
      if (!is_added) continue;
      soup.chosen = soup.choices.back();
      break;
    }
  }
  soup.chosen.which = fmt::format("{} of {} checkpoints", greedy.ingredients().size(), order.size());
}

}  // namespace

const std::vector<std::string>& BaselineNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Family& family : Families()) all.push_back(family.name);
    return all;
  }();
  return names;
}

std::vector<std::string> ParseBaselines(const std::string& text, const std::string& option) {
  std::vector<std::string> words, names;
  std::istringstream stream(text);
  for (std::string word; std::getline(stream, word, ',');) {
    if (std::ranges::count(BaselineNames(), word) == 0) {
      throw ConfigError("{}: expected words of last, best, ema, posthoc, uniform, soup, found '{}'{}", option, word,
                        Suggestion(word, BaselineNames()));
    }
    words.push_back(word);
  }
  for (const std::string& name : BaselineNames()) {
    if (std::ranges::count(words, name) > 0) names.push_back(name);
  }
  if (names.empty()) throw ConfigError("{}: expected at least one baseline, found none", option);
  return names;
}

std::vector<Baseline> ChooseBaselines(const BaselinePlan& plan, const EvaluateCoefficients& evaluate) {
  std::vector<Baseline> baselines;
  std::optional<std::size_t> soup;
  for (const std::string& name : plan.names) {
    const auto family = std::ranges::find(Families(), name, &Family::name);
    LCSC_CHECK(family != Families().end());
    if (name == "soup") soup = baselines.size();
    baselines.push_back({family->title, {}, family->choices_of(plan)});
  }
  EvaluateChoices(baselines, evaluate);
  for (Baseline& baseline : baselines) baseline.chosen = *std::ranges::min_element(baseline.choices, IsBetter);
  if (soup) Cook(baselines[*soup], plan, evaluate);
  return baselines;
}

}  // namespace lcsc
