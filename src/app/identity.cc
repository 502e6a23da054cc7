#include "app/identity.h"

#include <set>

#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lcsc/config/search_options.h"
#include "lcsc/model/registry.h"

namespace lcsc {
namespace {

constexpr const char* kGradientSteps = "search.gradient_steps";
constexpr const char* kDigestOf = "digest of ";
constexpr const char* kTrajectoryDigestKey = "digest of evaluation.trajectory";

// The options of [search] that a strategy's candidates depend on.
std::set<std::string> OptionsOf(const std::string& strategy) {
  const std::set<std::string> of_descents = {"learning_rate",  "momentum",    "starts",       "regularisation",
                                             "backward_every", "judge_every", "noise_blocks", "patience"};
  std::set<std::string> names = {"strategy", "schedule", "ema_rates"};
  if (strategy == "gradient" || strategy == "hybrid") names.insert(of_descents.begin(), of_descents.end());
  if (strategy == "hybrid") names.insert("gradient_steps");  // evolution begins where they end
  if (strategy != "gradient") names.insert({"seed", "children", "mutation_std"});
  if (strategy == "evolution" || strategy == "hybrid") {
    names.insert({"max_parents", "crossover_rate", "mutation_decay", "restriction", "racing", "race_risk"});
  }
  return names;
}

// Runs do not name options that came after them, which had no other value than this one, mostly the default now; nor
// those of other strategies.
void DropUnnamed(RunIdentity& identity) {
  const std::string prefix = "search.";
  const SearchOptions defaults;
  const std::map<std::string, std::string> younger = {{"strategy", defaults.strategy},
                                                      {"schedule", defaults.schedule},
                                                      {"restriction", defaults.restriction},
                                                      {"racing", defaults.racing},
                                                      {"momentum", "0.9"},
                                                      {"regularisation", "0"},
                                                      {"backward_every", std::to_string(defaults.backward_every)},
                                                      {"judge_every", std::to_string(defaults.judge_every)}};
  const std::string& strategy = identity.at(prefix + "strategy");
  if (strategy == "gradient" || strategy == "hybrid") identity["coordinates of descents"] = "between checkpoints";
  const std::set<std::string> named = OptionsOf(strategy);
  if (identity.at(prefix + "racing") == defaults.racing) identity.erase(prefix + "race_risk");
  std::erase_if(identity, [&](const auto& entry) {
    if (!entry.first.starts_with(prefix)) return false;
    const std::string name = entry.first.substr(prefix.size());
    const auto default_value = younger.find(name);
    return !named.contains(name) || (default_value != younger.end() && default_value->second == entry.second);
  });
}

RunIdentity IdentityOptions(const OptionSet& set, const std::string& prefix) {
  RunIdentity identity;
  for (const auto& [key, value, is_identity] : set.ResolvedValues()) {
    if (is_identity && key.starts_with(prefix)) identity[key] = value;
    if (key == kGradientSteps && key.starts_with(prefix)) identity[key] = value;
  }
  if (identity.contains("search.strategy")) DropUnnamed(identity);
  return identity;
}

RunIdentity WithDigests(RunIdentity identity, const EvaluationOptions& options, const Trajectory& trajectory) {
  identity[kTrajectoryDigestKey] = trajectory.Digest();
  const auto add_file = [&identity](const std::string& what, const std::filesystem::path& file) {
    if (!file.empty()) identity[kDigestOf + what] = DigestOfFile(file);
  };
  add_file("evaluation.extractor", options.extractor);
  add_file("evaluation.reference", options.reference);
  add_file("evaluation.conditioning", options.conditioning);
  add_file("evaluation.scorer", options.scorer);
  add_file("the network's module", ScriptFileOf(nlohmann::json::parse(trajectory.network_json)).value_or(""));
  return identity;
}

}  // namespace

RunIdentity EvaluationIdentity(const OptionSet& set, const EvaluationOptions& options, const Trajectory& trajectory) {
  return WithDigests(IdentityOptions(set, "evaluation."), options, trajectory);
}

RunIdentity StrategyIdentity(const OptionSet& set) { return IdentityOptions(set, "search."); }

RunIdentity SearchIdentity(const OptionSet& set, const EvaluationOptions& options, const Trajectory& trajectory) {
  return WithDigests(IdentityOptions(set, ""), options, trajectory);
}

void CheckSearchedTrajectory(const RunIdentity& run, const Trajectory& trajectory, const std::string& folder) {
  const auto searched = run.find(kTrajectoryDigestKey);
  const std::string found = trajectory.Digest();
  if (searched == run.end() || searched->second == found) return;
  throw InputError("{}: expected the trajectory of digest {} that the run searched, found {} of digest {}", folder,
                   searched->second, trajectory.folder.string(), found);
}

void CheckSameScores(const RunIdentity& run, const RunIdentity& present, const std::string& folder) {
  // Options of the search alone are not in `present`; a file that only one side has is a difference.
  RunIdentity shared;
  for (const auto& [key, value] : run) {
    if (present.contains(key) || key.starts_with(kDigestOf)) shared[key] = value;
  }
  CheckSameIdentity(shared, present, folder);
}

}  // namespace lcsc
