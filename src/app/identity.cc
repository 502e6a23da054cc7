#include "app/identity.h"

#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lcsc/config/search_options.h"
#include "lcsc/model/registry.h"

namespace lcsc {
namespace {

constexpr const char* kDigestOf = "digest of ";
constexpr const char* kTrajectoryDigestKey = "digest of evaluation.trajectory";

RunIdentity IdentityOptions(const OptionSet& set, const std::string& prefix) {
  RunIdentity identity;
  for (const auto& [key, value, is_identity] : set.ResolvedValues()) {
    if (is_identity && key.starts_with(prefix)) identity[key] = value;
  }
  // Runs of before there were schedules do not name theirs.
  if (const auto schedule = identity.find("search.schedule"); schedule != identity.end()) {
    if (schedule->second == SearchOptions{}.schedule) identity.erase(schedule);
  }
  // Nor those of before there were strategies. And no strategy depends on another's options.
  if (const auto strategy = identity.find("search.strategy"); strategy != identity.end()) {
    const bool is_default = strategy->second == SearchOptions{}.strategy;
    const std::vector<const char*> unused =
        is_default ? std::vector{"strategy", "learning_rate", "starts", "noise_blocks", "patience"}
                   : std::vector{"seed", "children", "max_parents", "crossover_rate", "mutation_std", "mutation_decay"};
    for (const char* name : unused) identity.erase(std::string("search.") + name);
  }
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
