// population.h5: docs/population.md.
#include <ctime>
#include <limits>
#include <set>

#include "lcsc/base/error.h"
#include "lcsc/io/tensor_table.h"
#include "lcsc/state/run_directory.h"
#include "lcsc/store/hdf5.h"

namespace lcsc {
namespace {

constexpr const char* kKind = "lcsc population";
constexpr std::int64_t kVersion = 1;
constexpr std::int64_t kNumStages = 6;
constexpr const char* kMetricNames = "metric_names";
constexpr const char* kMetricValues = "metric_values";
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// The candidates as columns, one row each.
struct Columns {
  std::vector<std::int64_t> ids, generations, parents;
  std::vector<double> coefficients, ema_rates, scores, stage_seconds;
  std::vector<std::string> failures;
};

Columns ToColumns(const std::vector<EvaluatedCandidate>& population) {
  Columns columns;
  for (const auto& [candidate, outcome] : population) {
    columns.ids.push_back(candidate.id);
    columns.generations.push_back(candidate.generation);
    columns.parents.insert(columns.parents.end(), candidate.parents.begin(), candidate.parents.end());
    columns.coefficients.insert(columns.coefficients.end(), candidate.coefficients.begin(),
                                candidate.coefficients.end());
    columns.ema_rates.push_back(candidate.ema_rate.value_or(kNone));
    columns.scores.push_back(outcome.score.value_or(kNone));
    columns.failures.push_back(outcome.failure);
    const StageSeconds& s = outcome.seconds;
    columns.stage_seconds.insert(columns.stage_seconds.end(),
                                 {s.merge, s.gather, s.sample, s.features, s.reduce, s.distance});
  }
  return columns;
}

// Every name that any candidate has, in ascending order.
std::vector<std::string> MetricNames(const std::vector<EvaluatedCandidate>& population) {
  std::set<std::string> names;
  for (const EvaluatedCandidate& member : population) {
    for (const auto& [name, value] : member.outcome.metrics) names.insert(name);
  }
  return {names.begin(), names.end()};
}

// Absent when no candidate has any, as in files of before there were objectives.
void WriteMetrics(Hdf5Group& group, const std::vector<EvaluatedCandidate>& population) {
  const std::vector<std::string> names = MetricNames(population);
  if (names.empty()) return;
  std::vector<double> values;
  for (const EvaluatedCandidate& member : population) {
    for (const std::string& name : names) {
      const auto value = member.outcome.metrics.find(name);
      values.push_back(value == member.outcome.metrics.end() ? kNone : value->second);
    }
  }
  group.WriteTexts(kMetricNames, names);
  group.Write<double>(kMetricValues, values,
                      {static_cast<std::int64_t>(population.size()), static_cast<std::int64_t>(names.size())});
}

template <typename Number>
std::vector<Number> ReadColumn(const Hdf5Group& group, const std::string& name,
                               const std::vector<std::int64_t>& shape) {
  Hdf5Array<Number> array = group.Read<Number>(name);
  if (array.shape != shape) {
    throw InputError("{}: candidates/{}: expected shape {}, found {}; the file is damaged", group.path().string(), name,
                     ShapeText(shape), ShapeText(array.shape));
  }
  return std::move(array.values);
}

void ReadMetrics(const Hdf5Group& group, std::vector<EvaluatedCandidate>& population) {
  if (!group.Contains(kMetricNames)) return;
  const std::vector<std::string> names = group.ReadTexts(kMetricNames);
  const auto values = ReadColumn<double>(
      group, kMetricValues, {static_cast<std::int64_t>(population.size()), static_cast<std::int64_t>(names.size())});
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double value = values[i];
    if (value == value) population[i / names.size()].outcome.metrics[names[i % names.size()]] = value;
  }
}

std::vector<EvaluatedCandidate> ReadCandidates(const Hdf5Group& group) {
  const Hdf5Array<double> coefficients = group.Read<double>("coefficients");
  if (coefficients.shape.size() != 2) {
    throw InputError("{}: candidates/coefficients: expected shape [n, K], found {}; the file is damaged",
                     group.path().string(), ShapeText(coefficients.shape));
  }
  const std::int64_t n = coefficients.shape[0], num_checkpoints = coefficients.shape[1];
  const auto ids = ReadColumn<std::int64_t>(group, "id", {n});
  const auto generations = ReadColumn<std::int64_t>(group, "generation", {n});
  const auto parents = ReadColumn<std::int64_t>(group, "parents", {n, 2});
  const auto ema_rates = ReadColumn<double>(group, "ema_rate", {n});
  const auto scores = ReadColumn<double>(group, "score", {n});
  const auto seconds = ReadColumn<double>(group, "stage_seconds", {n, kNumStages});
  const std::vector<std::string> failures = group.ReadTexts("failure");
  if (static_cast<std::int64_t>(failures.size()) != n) {
    throw InputError("{}: candidates/failure: expected {} texts, found {}; the file is damaged", group.path().string(),
                     n, failures.size());
  }
  std::vector<EvaluatedCandidate> population(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < population.size(); ++i) {
    auto& [candidate, outcome] = population[i];
    candidate.id = ids[i];
    candidate.generation = generations[i];
    candidate.parents = {parents[2 * i], parents[2 * i + 1]};
    const auto row = coefficients.values.begin() + static_cast<std::int64_t>(i) * num_checkpoints;
    candidate.coefficients.assign(row, row + num_checkpoints);
    if (ema_rates[i] == ema_rates[i]) candidate.ema_rate = ema_rates[i];
    if (scores[i] == scores[i]) outcome.score = scores[i];
    outcome.failure = failures[i];
    const double* s = &seconds[i * kNumStages];
    outcome.seconds = {s[0], s[1], s[2], s[3], s[4], s[5]};
  }
  ReadMetrics(group, population);
  return population;
}

void WriteCandidates(Hdf5Group group, const std::vector<EvaluatedCandidate>& population) {
  const Columns columns = ToColumns(population);
  const auto n = static_cast<std::int64_t>(population.size());
  const auto num_checkpoints = static_cast<std::int64_t>(columns.coefficients.size()) / n;
  group.Write<std::int64_t>("id", columns.ids);
  group.Write<std::int64_t>("generation", columns.generations);
  group.Write<std::int64_t>("parents", columns.parents, {n, 2});
  group.Write<double>("coefficients", columns.coefficients, {n, num_checkpoints});
  group.Write<double>("ema_rate", columns.ema_rates);
  group.Write<double>("score", columns.scores);
  group.Write<double>("stage_seconds", columns.stage_seconds, {n, kNumStages});
  group.WriteTexts("failure", columns.failures);
  WriteMetrics(group, population);
}

RunState StateFromName(const std::string& name) {
  for (const RunState state : {RunState::kRunning, RunState::kInterrupted, RunState::kDone}) {
    if (name == RunStateName(state)) return state;
  }
  throw InputError("unknown run state '{}'", name);
}

}  // namespace

void RunDirectory::PublishSnapshot(const PopulationSnapshot& snapshot) const {
  PublishHdf5(population_path(), [&](Hdf5Group& root) {
    root.WriteTextAttribute("kind", kKind);
    root.WriteIntegerAttribute("version", kVersion);
    root.WriteTextAttribute("state", RunStateName(snapshot.state));
    root.WriteIntegerAttribute("planned_evaluations", snapshot.planned_evaluations);
    root.WriteIntegerAttribute("updated", static_cast<std::int64_t>(std::time(nullptr)));
    const std::vector<double> times = {snapshot.seconds, snapshot.utilisation};
    root.Write<double>("seconds_utilisation", times);
    std::vector<std::string> keys, values;
    for (const auto& [key, value] : snapshot.identity) {
      keys.push_back(key);
      values.push_back(value);
    }
    root.WriteTexts("identity_keys", keys);
    root.WriteTexts("identity_values", values);
    if (!snapshot.population.empty()) WriteCandidates(root.CreateGroup("candidates"), snapshot.population);
  });
}

std::optional<PopulationSnapshot> RunDirectory::ReadSnapshot() const {
  if (!std::filesystem::exists(population_path())) return std::nullopt;
  const Hdf5Group root = Hdf5Group::OpenFile(population_path());
  const std::string kind = root.ReadTextAttribute("kind");
  if (kind != kKind) {
    throw InputError("{}: expected a file of kind '{}', found '{}'", population_path().string(), kKind, kind);
  }
  const std::int64_t version = root.ReadIntegerAttribute("version");
  if (version != kVersion) {
    throw InputError("{}: expected version {}, found {}; use the lcsc that wrote it", population_path().string(),
                     kVersion, version);
  }
  PopulationSnapshot snapshot;
  snapshot.state = StateFromName(root.ReadTextAttribute("state"));
  snapshot.planned_evaluations = root.ReadIntegerAttribute("planned_evaluations");
  snapshot.updated_s = root.ReadIntegerAttribute("updated");
  const auto times = ReadColumn<double>(root, "seconds_utilisation", {2});
  snapshot.seconds = times[0];
  snapshot.utilisation = times[1];
  const auto keys = root.ReadTexts("identity_keys"), values = root.ReadTexts("identity_values");
  if (keys.size() != values.size()) {
    throw InputError("{}: {} identity keys and {} values; the file is damaged", population_path().string(), keys.size(),
                     values.size());
  }
  for (std::size_t i = 0; i < keys.size(); ++i) snapshot.identity[keys[i]] = values[i];
  if (root.Contains("candidates")) snapshot.population = ReadCandidates(root.OpenGroup("candidates"));
  return snapshot;
}

}  // namespace lcsc
