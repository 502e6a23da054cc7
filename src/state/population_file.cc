// population.h5: docs/population.md.
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <ctime>
#include <fstream>
#include <limits>
#include <set>

#include "lcsc/base/atomic_file.h"
#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lcsc/io/tensor_table.h"
#include "lcsc/state/run_directory.h"
#include "lcsc/store/hdf5.h"

namespace lcsc {
namespace {

constexpr const char* kKind = "lcsc population";
// 2: the order of a steady-state search. 3: a digest behind the HDF5 file, the journal's number, accusations.
// 4: gradients and their stages.
constexpr std::int64_t kVersion = 4, kVersionWithDigest = 3, kVersionWithGradients = 4;
constexpr std::string_view kDigestMark = "lcsc digest ";
constexpr std::size_t kDigestLineBytes = kDigestMark.size() + 33;  // 32 hexadecimal digits and a line feed
constexpr std::int64_t kNumStages = 8, kNumStagesBefore = 6;
constexpr const char* kMetricNames = "metric_names";
constexpr const char* kMetricValues = "metric_values";
constexpr const char* kSeen = "seen";
constexpr const char* kOrder = "order";
constexpr const char* kNoiseBlock = "noise_block";
constexpr const char* kWantsGradient = "wants_gradient";
constexpr const char* kHasGradient = "has_gradient";
constexpr const char* kGradients = "gradients";
constexpr const char* kInFlight = "in_flight";
constexpr const char* kAccused = "accused";
constexpr const char* kAccusations = "accusations";
constexpr const char* kJournal = "journal";
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

const Candidate& ProposalOf(const EvaluatedCandidate& member) { return member.candidate; }
const Candidate& ProposalOf(const Candidate& candidate) { return candidate; }

// What a candidate was before it was evaluated, as columns, one row each. REQUIRES: not empty.
template <typename Member>
void WriteProposals(Hdf5Group& group, const std::vector<Member>& members) {
  std::vector<std::int64_t> ids, generations, parents, seen, noise_blocks, wants_gradient;
  std::vector<double> coefficients, ema_rates;
  for (const Member& member : members) {
    const Candidate& candidate = ProposalOf(member);
    ids.push_back(candidate.id);
    generations.push_back(candidate.generation);
    parents.insert(parents.end(), candidate.parents.begin(), candidate.parents.end());
    coefficients.insert(coefficients.end(), candidate.coefficients.begin(), candidate.coefficients.end());
    ema_rates.push_back(candidate.ema_rate.value_or(kNone));
    if (candidate.seen) seen.push_back(*candidate.seen);
    noise_blocks.push_back(candidate.noise_block);
    wants_gradient.push_back(candidate.wants_gradient ? 1 : 0);
  }
  const auto n = static_cast<std::int64_t>(members.size());
  group.Write<std::int64_t>("id", ids);
  group.Write<std::int64_t>("generation", generations);
  group.Write<std::int64_t>("parents", parents, {n, 2});
  group.Write<double>("coefficients", coefficients, {n, static_cast<std::int64_t>(coefficients.size()) / n});
  group.Write<double>("ema_rate", ema_rates);
  if (!seen.empty()) group.Write<std::int64_t>(kSeen, seen);
  group.Write<std::int64_t>(kNoiseBlock, noise_blocks);
  group.Write<std::int64_t>(kWantsGradient, wants_gradient);
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

// One row for each candidate that has one, in their order.
void WriteGradients(Hdf5Group& group, const std::vector<EvaluatedCandidate>& population) {
  std::vector<double> rows;
  std::vector<std::int64_t> has_gradient;
  for (const EvaluatedCandidate& member : population) {
    rows.insert(rows.end(), member.outcome.gradient.begin(), member.outcome.gradient.end());
    has_gradient.push_back(member.outcome.gradient.empty() ? 0 : 1);
  }
  const auto num_checkpoints = static_cast<std::int64_t>(population.front().candidate.coefficients.size());
  if (rows.empty()) return;
  group.Write<std::int64_t>(kHasGradient, has_gradient);
  group.Write<double>(kGradients, rows, {static_cast<std::int64_t>(rows.size()) / num_checkpoints, num_checkpoints});
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

void ReadGradients(const Hdf5Group& group, std::vector<EvaluatedCandidate>& population) {
  if (population.empty() || !group.Contains(kGradients)) return;
  const auto has_gradient =
      ReadColumn<std::int64_t>(group, kHasGradient, {static_cast<std::int64_t>(population.size())});
  const auto count = static_cast<std::int64_t>(has_gradient.size()) - std::ranges::count(has_gradient, 0);
  const std::size_t num_checkpoints = population.front().candidate.coefficients.size();
  const auto rows = ReadColumn<double>(group, kGradients, {count, static_cast<std::int64_t>(num_checkpoints)});
  auto row = rows.begin();
  for (std::size_t i = 0; i < population.size(); ++i) {
    if (has_gradient[i] == 0) continue;
    const auto end = row + static_cast<std::ptrdiff_t>(num_checkpoints);
    population[i].outcome.gradient.assign(row, end);
    row = end;
  }
}

std::vector<Candidate> ReadProposals(const Hdf5Group& group) {
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
  std::vector<Candidate> candidates(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    Candidate& candidate = candidates[i];
    candidate.id = ids[i];
    candidate.generation = generations[i];
    candidate.parents = {parents[2 * i], parents[2 * i + 1]};
    const auto row = coefficients.values.begin() + static_cast<std::int64_t>(i) * num_checkpoints;
    candidate.coefficients.assign(row, row + num_checkpoints);
    if (ema_rates[i] == ema_rates[i]) candidate.ema_rate = ema_rates[i];
  }
  if (group.Contains(kSeen)) {
    const auto seen = ReadColumn<std::int64_t>(group, kSeen, {n});
    for (std::size_t i = 0; i < candidates.size(); ++i) candidates[i].seen = seen[i];
  }
  if (group.Contains(kNoiseBlock)) {
    const auto noise_blocks = ReadColumn<std::int64_t>(group, kNoiseBlock, {n});
    const auto wants_gradient = ReadColumn<std::int64_t>(group, kWantsGradient, {n});
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      candidates[i].noise_block = noise_blocks[i];
      candidates[i].wants_gradient = wants_gradient[i] != 0;
    }
  }
  return candidates;
}

std::vector<EvaluatedCandidate> ReadCandidates(const Hdf5Group& group, std::int64_t version) {
  std::vector<Candidate> candidates = ReadProposals(group);
  const auto n = static_cast<std::int64_t>(candidates.size());
  const auto scores = ReadColumn<double>(group, "score", {n});
  const std::int64_t num_stages = version >= kVersionWithGradients ? kNumStages : kNumStagesBefore;
  const auto seconds = ReadColumn<double>(group, "stage_seconds", {n, num_stages});
  const std::vector<std::string> failures = group.ReadTexts("failure");
  if (static_cast<std::int64_t>(failures.size()) != n) {
    throw InputError("{}: candidates/failure: expected {} texts, found {}; the file is damaged", group.path().string(),
                     n, failures.size());
  }
  std::vector<EvaluatedCandidate> population(candidates.size());
  for (std::size_t i = 0; i < population.size(); ++i) {
    population[i].candidate = std::move(candidates[i]);
    Outcome& outcome = population[i].outcome;
    if (std::isinf(scores[i])) {
      throw InputError("{}: candidates/score: expected a finite number or NaN, found {}; the file is damaged",
                       group.path().string(), scores[i]);
    }
    if (scores[i] == scores[i]) outcome.score = scores[i];
    outcome.failure = failures[i];
    const double* s = &seconds[i * static_cast<std::size_t>(num_stages)];
    outcome.seconds = {s[0], s[1], s[2], s[3], s[4], s[5]};
    if (num_stages == kNumStages) {
      outcome.seconds.backward = s[6];
      outcome.seconds.project = s[7];
    }
  }
  if (group.Contains(kOrder)) {
    const auto order = ReadColumn<std::int64_t>(group, kOrder, {n});
    for (std::size_t i = 0; i < population.size(); ++i) population[i].order = order[i];
  }
  ReadMetrics(group, population);
  ReadGradients(group, population);
  return population;
}

void WriteCandidates(Hdf5Group group, const std::vector<EvaluatedCandidate>& population) {
  WriteProposals(group, population);
  std::vector<double> scores, stage_seconds;
  std::vector<std::string> failures;
  std::vector<std::int64_t> orders;
  for (const auto& [candidate, outcome, order] : population) {
    scores.push_back(outcome.score.value_or(kNone));
    failures.push_back(outcome.failure);
    const StageSeconds& s = outcome.seconds;
    stage_seconds.insert(stage_seconds.end(),
                         {s.merge, s.gather, s.sample, s.features, s.reduce, s.distance, s.backward, s.project});
    if (order) orders.push_back(*order);
  }
  group.Write<double>("score", scores);
  group.Write<double>("stage_seconds", stage_seconds, {static_cast<std::int64_t>(population.size()), kNumStages});
  group.WriteTexts("failure", failures);
  if (!orders.empty()) group.Write<std::int64_t>(kOrder, orders);
  WriteMetrics(group, population);
  WriteGradients(group, population);
}

RunState StateFromName(const std::string& name) {
  for (const RunState state : {RunState::kRunning, RunState::kInterrupted, RunState::kDone}) {
    if (name == RunStateName(state)) return state;
  }
  throw InputError("unknown run state '{}'", name);
}

void WriteAccusations(Hdf5Group& root, const std::vector<Accusation>& accusations) {
  std::vector<std::int64_t> ids;
  std::vector<std::string> reasons;
  for (const Accusation& accusation : accusations) {
    ids.push_back(accusation.candidate_id);
    reasons.push_back(accusation.reason);
  }
  root.Write<std::int64_t>(kAccused, ids);
  root.WriteTexts(kAccusations, reasons);
}

std::vector<Accusation> ReadAccusations(const Hdf5Group& root) {
  if (!root.Contains(kAccused)) return {};
  const auto reasons = root.ReadTexts(kAccusations);
  const auto ids = ReadColumn<std::int64_t>(root, kAccused, {static_cast<std::int64_t>(reasons.size())});
  std::vector<Accusation> accusations;
  for (std::size_t i = 0; i < ids.size(); ++i) accusations.push_back({ids[i], reasons[i]});
  return accusations;
}

std::string DigestOfFirst(std::istream& file, std::uintmax_t num_bytes) {
  Digest digest;
  std::string block(std::size_t{1} << 20, '\0');
  while (num_bytes > 0 && file) {
    file.read(block.data(), static_cast<std::streamsize>(std::min<std::uintmax_t>(block.size(), num_bytes)));
    digest.Update(std::string_view(block).substr(0, static_cast<std::size_t>(file.gcount())));
    num_bytes -= static_cast<std::uintmax_t>(file.gcount());
  }
  return digest.Hex();
}

// Whether the file ends in the digest of what stands before it. Throws InputError when it ends in another.
bool HasRightDigest(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError("cannot read {}: {}", path.string(), std::strerror(errno));
  const std::uintmax_t size = std::filesystem::file_size(path);
  if (size < kDigestLineBytes) return false;
  const std::uintmax_t body_bytes = size - kDigestLineBytes;
  std::string line(kDigestLineBytes, '\0');
  file.seekg(static_cast<std::streamoff>(body_bytes));
  file.read(line.data(), static_cast<std::streamsize>(line.size()));
  if (!file || !line.starts_with(kDigestMark)) return false;
  file.seekg(0);
  const std::string found = DigestOfFirst(file, body_bytes), expected = line.substr(kDigestMark.size(), found.size());
  if (expected == found) return true;
  throw InputError("{}: expected the digest {}, found {}; the file is damaged", path.string(), expected, found);
}

}  // namespace

void PublishPopulation(const std::filesystem::path& path, const PopulationSnapshot& snapshot) {
  const std::string image = Hdf5Image(path, [&](Hdf5Group& root) {
    root.WriteTextAttribute("kind", kKind);
    root.WriteIntegerAttribute("version", kVersion);
    root.WriteIntegerAttribute(kJournal, snapshot.journal);
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
    if (!snapshot.accusations.empty()) WriteAccusations(root, snapshot.accusations);
    if (snapshot.in_flight.empty()) return;
    Hdf5Group in_flight = root.CreateGroup(kInFlight);
    WriteProposals(in_flight, snapshot.in_flight);
  });
  PublishText(path, fmt::format("{}{}{}\n", image, kDigestMark, DigestOf(image)));
}

PopulationSnapshot ReadPopulation(const std::filesystem::path& path) {
  const bool has_digest = HasRightDigest(path);
  const Hdf5Group root = Hdf5Group::OpenFile(path);
  const std::string kind = root.ReadTextAttribute("kind");
  if (kind != kKind) {
    throw InputError("{}: expected a file of kind '{}', found '{}'", path.string(), kKind, kind);
  }
  const std::int64_t version = root.ReadIntegerAttribute("version");
  if (version < 1 || version > kVersion) {
    throw NewerVersionError("{}: expected version 1 to {}, found {}; use the lcsc that wrote it", path.string(),
                            kVersion, version);
  }
  if (version >= kVersionWithDigest && !has_digest) {
    throw InputError("{}: expected a digest at its end, found none; the file was cut off", path.string());
  }
  PopulationSnapshot snapshot;
  snapshot.state = StateFromName(root.ReadTextAttribute("state"));
  snapshot.planned_evaluations = root.ReadIntegerAttribute("planned_evaluations");
  snapshot.updated_s = root.ReadIntegerAttribute("updated");
  if (version >= kVersionWithDigest) snapshot.journal = root.ReadIntegerAttribute(kJournal);
  const auto times = ReadColumn<double>(root, "seconds_utilisation", {2});
  snapshot.seconds = times[0];
  snapshot.utilisation = times[1];
  const auto keys = root.ReadTexts("identity_keys"), values = root.ReadTexts("identity_values");
  if (keys.size() != values.size()) {
    throw InputError("{}: {} identity keys and {} values; the file is damaged", path.string(), keys.size(),
                     values.size());
  }
  for (std::size_t i = 0; i < keys.size(); ++i) snapshot.identity[keys[i]] = values[i];
  if (root.Contains("candidates")) snapshot.population = ReadCandidates(root.OpenGroup("candidates"), version);
  snapshot.accusations = ReadAccusations(root);
  if (root.Contains(kInFlight)) snapshot.in_flight = ReadProposals(root.OpenGroup(kInFlight));
  return snapshot;
}

}  // namespace lcsc
