#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <sstream>

#include "app/command.h"
#include "app/identity.h"
#include "app/report.h"
#include "lcsc/base/table.h"
#include "lcsc/merge/merged_weights.h"
#include "lcsc/state/run_directory.h"

namespace lcsc {
namespace {

// One coefficient per line or separated by commas; a line that starts with '#' is a comment.
Coefficients ReadCoefficients(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw InputError("--coefficients: cannot read {}; check that the file exists and is readable", path);
  Coefficients coefficients;
  std::string line, word;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.starts_with('#')) continue;
    std::replace(line.begin(), line.end(), ',', ' ');
    std::istringstream words(line);
    while (words >> word) {
      std::size_t used = 0;
      double value = 0;
      try {
        value = std::stod(word, &used);
      } catch (const std::exception&) {
        used = 0;
      }
      if (used != word.size() || !std::isfinite(value)) {
        throw InputError("{} line {}: expected a number, found '{}'", path, number, word);
      }
      coefficients.push_back(value);
    }
  }
  return coefficients;
}

void CheckSum(const Coefficients& coefficients, const std::string& source) {
  constexpr double kTolerance = 1e-6;
  const double sum = std::accumulate(coefficients.begin(), coefficients.end(), 0.0);
  if (std::abs(sum - 1) > kTolerance) {
    throw InputError("{}: expected {} coefficients a_1..a_K of sum 1, found sum {}", source, coefficients.size(), sum);
  }
}

class MergeCommand : public Command {
 public:
  std::string name() const override { return "merge"; }
  std::string summary() const override {
    return "writes the merged weights: of a run's best or any candidate, of given coefficients, or of an EMA rate";
  }

  void AddOptions(OptionSet& set) override {
    set.Add({"", "run", "path", "take the coefficients and the trajectory of this run"}, &run_);
    set.Add({"", "candidate", "id", "with --run: this candidate; -1 is the best"}, &candidate_, {-1, 1'000'000'000});
    set.Add({"", "coefficients", "path", "file with a_1..a_K, separated by commas or lines"}, &coefficients_);
    set.Add({"", "ema_rate", "per iteration", "EMA rate in [0, 1); 0 is the last checkpoint"}, &ema_rate_, {0, 1});
    set.Add({"", "output", "path", "the merged weights, .safetensors"}, &output_);
    set.Add({"", "trajectory", "path", "the packed checkpoints; overrides evaluation.trajectory"}, &trajectory_);
    file_.AddOptions(set);
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    if (world.world_rank != 0) return ExitCode::kDone;
    const int sources = !run_.empty() + !coefficients_.empty() + set.IsSet("ema_rate");
    if (sources != 1) {
      throw ConfigError("merge: expected one of --run, --coefficients, --ema-rate, found {}", sources);
    }
    set.Require("output");
    std::optional<RunDirectory> directory;
    if (!run_.empty()) {
      directory = RunDirectory::OpenExisting(run_);
      set.ReadConfig(directory->config_path());
    }
    if (!trajectory_.empty()) file_.evaluation.trajectory = trajectory_;
    set.Require("evaluation.trajectory");
    const Trajectory trajectory = ReadTrajectory(file_.evaluation.trajectory);
    std::string what;
    const Coefficients coefficients = Choose(directory, trajectory, &what);
    CheckSum(coefficients, what);
    VerifyTrajectory(trajectory.folder);  // the merge reads parts of rows, which have no digest
    Write(trajectory, coefficients, what);
    return ExitCode::kDone;
  }

 private:
  Coefficients Choose(const std::optional<RunDirectory>& directory, const Trajectory& trajectory,
                      std::string* what) const {
    if (directory) {
      const PopulationSnapshot snapshot = *directory->ReadSnapshot();
      CheckSearchedTrajectory(snapshot.identity, trajectory, run_);
      const EvaluatedCandidate& member = Find(snapshot);
      *what = fmt::format("{} of {}", CandidateText(member.candidate), run_);
      return member.candidate.coefficients;
    }
    if (!coefficients_.empty()) {
      *what = coefficients_;
      return ReadCoefficients(coefficients_);
    }
    if (ema_rate_ >= 1) throw ConfigError("--ema-rate: expected a number in [0, 1), found {}", ema_rate_);
    *what = fmt::format("EMA {}", ema_rate_);
    return EmaCoefficients(ema_rate_, trajectory.steps);
  }

  const EvaluatedCandidate& Find(const PopulationSnapshot& snapshot) const {
    if (candidate_ < 0) {
      const EvaluatedCandidate* best = BestOf(snapshot.population);
      if (best == nullptr) throw InputError("{}: no candidate has a score yet", run_);
      return *best;
    }
    for (const EvaluatedCandidate& member : snapshot.population) {
      if (member.candidate.id == candidate_) return member;
    }
    throw ConfigError("--candidate: expected one of the {} candidates of {}, found {}", snapshot.population.size(),
                      run_, candidate_);
  }

  void Write(const Trajectory& trajectory, const Coefficients& coefficients, const std::string& what) const {
    const nlohmann::json provenance = {{"trajectory_digest", trajectory.Digest()},
                                       {"steps", trajectory.steps},
                                       {"coefficients", coefficients},
                                       {"source", what}};
    WriteSafetensors(output_, MergeCheckpoints(trajectory, coefficients),
                     {{"config", trajectory.network_json}, {"lcsc", provenance.dump()}});
    Table table({"what", "value"});
    table.AddRow({"merged", what});
    table.AddRow({"checkpoints", fmt::format("{}, steps {} to {}", trajectory.steps.size(), trajectory.steps.front(),
                                             trajectory.steps.back())});
    table.AddRow({"parameters", fmt::format("{}", trajectory.table.num_elements())});
    table.AddRow({"written", output_});
    std::fputs(table.ToString().c_str(), stdout);
  }

  std::string run_, coefficients_, trajectory_, output_;
  std::int64_t candidate_ = -1;
  double ema_rate_ = 0;
  ConfigFile file_;
};

}  // namespace

std::unique_ptr<Command> MakeMergeCommand() { return std::make_unique<MergeCommand>(); }

}  // namespace lcsc
