#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <sstream>

#include "app/command.h"
#include "app/identity.h"
#include "app/report.h"
#include "app/weights.h"
#include "lcsc/base/atomic_file.h"
#include "lcsc/base/table.h"
#include "lcsc/merge/lora_weights.h"
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
    set.Add({"", "output", "path", "the merged weights: .safetensors, or .pt as torch.save writes a state dict"},
            &output_);
    set.AddChoice({"", "as", "", "of LoRA checkpoints: the whole network's weights, or LoRA factors again"}, &as_,
                  {"full", "lora"});
    set.Add({"", "rank", "", "with --as lora: cut every layer to this rank; 0: exact, rank K r"}, &rank_, {0, 1 << 20});
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
    if (rank_ > 0 && as_ != "lora") throw ConfigError("--rank: expected --as lora beside it, found --as {}", as_);
    CheckWeightsPath(output_);
    std::optional<RunDirectory> directory;
    if (!run_.empty()) {
      directory = RunDirectory::OpenExisting(run_);
      set.ReadConfig(directory->config_path());
    }
    if (!trajectory_.empty()) file_.evaluation.trajectory = trajectory_;
    set.Require("evaluation.trajectory");
    const Trajectory trajectory = ReadTrajectory(file_.evaluation.trajectory);
    if (as_ == "lora" && !trajectory.lora) {
      throw ConfigError(
          "--as lora: expected LoRA checkpoints in {}, found full weights, which have no factors; leave it out",
          trajectory.folder.string());
    }
    std::string what;
    const Coefficients coefficients = Choose(directory, trajectory, &what);
    CheckSum(coefficients, what);
    VerifyTrajectory(trajectory.folder);  // the merge reads parts of rows, which have no digest
    as_ == "lora" ? WriteLora(trajectory, coefficients, what) : WriteFull(trajectory, coefficients, what);
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

  static nlohmann::json Provenance(const Trajectory& trajectory, const Coefficients& coefficients,
                                   const std::string& what) {
    nlohmann::json provenance = {{"trajectory_digest", trajectory.Digest()},
                                 {"steps", trajectory.steps},
                                 {"coefficients", coefficients},
                                 {"source", what}};
    if (trajectory.lora) provenance["base_model_digest"] = trajectory.lora->base_digest;
    return provenance;
  }

  static Table TableOf(const Trajectory& trajectory, const std::string& what) {
    Table table({"what", "value"});
    table.AddRow({"merged", what});
    table.AddRow({"checkpoints", fmt::format("{}, steps {} to {}", trajectory.steps.size(), trajectory.steps.front(),
                                             trajectory.steps.back())});
    return table;
  }

  void WriteFull(const Trajectory& trajectory, const Coefficients& coefficients, const std::string& what) const {
    WriteWeights(output_, MergeCheckpoints(trajectory, coefficients),
                 {{"config", trajectory.network_json}, {"lcsc", Provenance(trajectory, coefficients, what).dump()}});
    Table table = TableOf(trajectory, what);
    const TensorTable merged = trajectory.lora ? TargetTable(*trajectory.lora) : trajectory.table;
    table.AddRow({"parameters", fmt::format("{}", merged.num_elements())});
    table.AddRow({"written", output_});
    std::fputs(table.ToString().c_str(), stdout);
  }

  void WriteLora(const Trajectory& trajectory, const Coefficients& coefficients, const std::string& what) const {
    const LoraWeights weights =
        CombineLora(trajectory, coefficients, rank_ > 0 ? std::optional<std::int64_t>(rank_) : std::nullopt);
    const auto config_path = std::filesystem::path(output_).parent_path() / "adapter_config.json";
    if (!weights.adapter_config.empty()) CheckReplaceable(config_path, weights.adapter_config);
    nlohmann::json provenance = Provenance(trajectory, coefficients, what);
    provenance.update({{"lora_rank", weights.rank},
                       {"lora_scale", 1},
                       {"relative_error", weights.overall_error},
                       {"worst_relative_error", weights.worst_error},
                       {"worst_layer", weights.worst_layer}});
    WriteWeights(output_, weights.tensors,
                 {{"config", trajectory.network_json}, {"format", "pt"}, {"lcsc", provenance.dump()}});
    if (!weights.adapter_config.empty()) PublishText(config_path, weights.adapter_config);
    Table table = TableOf(trajectory, what);
    table.AddRow({"LoRA layers", fmt::format("{}, rank {}", trajectory.lora->layers.size(), weights.rank)});
    table.AddRow({"error of the update", fmt::format("{:.3g} relative (Frobenius)", weights.overall_error)});
    table.AddRow({"error of the worst layer", fmt::format("{:.3g}, {}", weights.worst_error, weights.worst_layer)});
    table.AddRow({"written", output_});
    if (!weights.adapter_config.empty()) table.AddRow({"its alpha and rank", config_path.string()});
    std::fputs(table.ToString().c_str(), stdout);
  }

  // peft looks for the file beside the factors: one of other factors must not be lost.
  static void CheckReplaceable(const std::filesystem::path& path, const std::string& text) {
    std::ifstream file(path, std::ios::binary);
    if (!file || std::string(std::istreambuf_iterator<char>(file), {}) == text) return;
    throw InputError("{}: expected no adapter configuration or the same, found another; choose a folder of its own",
                     path.string());
  }

  std::string run_, coefficients_, trajectory_, output_;
  std::string as_ = "full";
  std::int64_t candidate_ = -1, rank_ = 0;
  double ema_rate_ = 0;
  ConfigFile file_;
};

}  // namespace

std::unique_ptr<Command> MakeMergeCommand() { return std::make_unique<MergeCommand>(); }

}  // namespace lcsc
