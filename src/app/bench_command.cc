#include <algorithm>
#include <cstdio>
#include <set>

#include "app/command.h"
#include "app/report.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/table.h"
#include "lcsc/comm/group.h"
#include "lcsc/model/threads.h"
#include "lcsc/service/search_forecast.h"

namespace lcsc {
namespace {

nlohmann::json JsonOf(const MachineRates& rates) {
  return {{"threads", rates.threads},
          {"copy_bytes_per_second", rates.copy_bytes_per_second},
          {"product_flops_per_second", rates.product_flops_per_second},
          {"convolution_flops_per_second", rates.convolution_flops_per_second}};
}

nlohmann::json JsonOf(const StageRate& stage) {
  nlohmann::json json = {
      {"stage", stage.stage}, {"seconds", stage.seconds}, {"rate", stage.rate}, {"unit", stage.unit}};
  if (stage.floor_seconds > 0) {
    json["floor_seconds"] = stage.floor_seconds;
    json["share_of_ceiling"] = stage.share();
  }
  return json;
}

class BenchCommand : public Command {
 public:
  std::string name() const override { return "bench"; }
  std::string summary() const override {
    return "measures this machine for about a minute; with --config also each stage of that search, and predicts its "
           "time and memory";
  }

  void AddOptions(OptionSet& set) override {
    set.Add({"", "machines", "machines", "predicts for so many machines like this one, beside this one alone"},
            &machines_, {1, 1000000});
    set.Add({"", "seconds", "s", "for each of the machine's rates"}, &seconds_, {0, 1e3});
    AddJsonFlag(set, &json_);
    file_.AddOptions(set);
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    AgreeOnSetUp(world, [&] { Check(world, set); });
    cores_ = ThreadsPerRank({}, 0);
    const int threads = static_cast<int>(file_.run.threads > 0 ? file_.run.threads : cores_);
    for (const int count : std::set<int>{1, threads, cores_}) {
      SetArithmeticThreads(count);
      machine_.push_back(MeasureMachine(seconds_));
    }
    if (file_.path.empty()) {
      Print(nullptr);
      return ExitCode::kDone;
    }
    SetArithmeticThreads(threads);
    const auto own = std::ranges::find(machine_, threads, &MachineRates::threads);
    const SearchRates rates = MeasureSearch(file_.evaluation, file_.search, file_.run, *own);
    Print(&rates);
    return ExitCode::kDone;
  }

 private:
  struct Prediction {
    std::int64_t machines, groups;
    double seconds;
  };

  void Check(const World& world, OptionSet& set) const {
    if (world.world_size > 1) {
      throw ConfigError("lcsc bench: expected one rank, found {}; it measures a rank and computes the others",
                        world.world_size);
    }
    if (file_.path.empty()) {
      if (machines_ > 1) throw ConfigError("--machines: needs --config, the search to predict");
      return;
    }
    set.Require("evaluation.trajectory");
    for (const std::string& key : RequiredOptions(Objective(file_.evaluation.objective).metrics())) set.Require(key);
    ReadTrajectory(file_.evaluation.trajectory);
  }

  std::int64_t GroupSize() const { return std::max<std::int64_t>(1, file_.run.group_size); }

  // Ranks of run.threads on all cores of each machine.
  Prediction Predict(const SearchRates& rates, std::int64_t machines) const {
    const std::int64_t workers = std::max(1, cores_ / rates.threads) * machines;
    const std::int64_t groups = std::max<std::int64_t>(1, workers / GroupSize());
    return {machines, groups, SearchSeconds(rates, file_.search, CandidateSeconds(rates, GroupSize()), groups)};
  }

  std::vector<Prediction> Predictions(const SearchRates& rates) const {
    std::vector<Prediction> predictions = {Predict(rates, 1)};
    if (machines_ > 1) predictions.push_back(Predict(rates, machines_));
    return predictions;
  }

  void Print(const SearchRates* rates) const {
    if (json_) {
      std::printf("%s\n", ResultOf(rates).dump().c_str());
      return;
    }
    Table ceilings({"threads", "copy GB/s", "matrix product GFLOP/s", "convolution GFLOP/s"});
    for (const MachineRates& rate : machine_) {
      ceilings.AddRow({fmt::format("{}", rate.threads), fmt::format("{:.1f}", rate.copy_bytes_per_second * 1e-9),
                       fmt::format("{:.1f}", rate.product_flops_per_second * 1e-9),
                       fmt::format("{:.1f}", rate.convolution_flops_per_second * 1e-9)});
    }
    std::fputs(ceilings.ToString().c_str(), stdout);
    if (rates != nullptr) PrintSearch(*rates);
  }

  void PrintSearch(const SearchRates& rates) const {
    Table stages({"stage", "seconds", "rate", "unit", "share of ceiling"});
    for (const StageRate& stage : rates.stages) {
      stages.AddRow({stage.stage, fmt::format("{:.4f}", stage.seconds), fmt::format("{:.2f}", stage.rate), stage.unit,
                     stage.floor_seconds > 0 ? fmt::format("{:.0f} %", 100 * stage.share()) : "-"});
    }
    std::printf("\none rank of %d threads, %s samples a candidate:\n%s", rates.threads,
                std::to_string(file_.evaluation.num_samples).c_str(), stages.ToString().c_str());
    if (rates.measured_samples < file_.evaluation.num_samples) {
      std::printf("measured with %s samples in batches of %s; sample and features are the multiple of it\n",
                  std::to_string(rates.measured_samples).c_str(), std::to_string(rates.measured_batch).c_str());
    }
    Table search({"machines", "groups", "evaluations", "seconds a candidate", "whole search", "memory a rank"});
    for (const Prediction& prediction : Predictions(rates)) {
      search.AddRow({fmt::format("{}", prediction.machines), fmt::format("{}", prediction.groups),
                     fmt::format("{}", rates.evaluations), fmt::format("{:.3f}", CandidateSeconds(rates, GroupSize())),
                     FormatDuration(prediction.seconds), FormatBytes(static_cast<double>(rates.bytes_per_rank))});
    }
    std::printf("\npredicted:\n%s", search.ToString().c_str());
  }

  nlohmann::json ResultOf(const SearchRates* rates) const {
    nlohmann::json json = {{"cores", cores_}};
    for (const MachineRates& rate : machine_) json["machine"].push_back(JsonOf(rate));
    if (rates == nullptr) return json;
    for (const StageRate& stage : rates->stages) json["stages"].push_back(JsonOf(stage));
    json.update({{"threads", rates->threads},
                 {"group_size", GroupSize()},
                 {"samples", file_.evaluation.num_samples},
                 {"measured_samples", rates->measured_samples},
                 {"measured_batch", rates->measured_batch},
                 {"evaluations", rates->evaluations},
                 {"candidate_seconds", CandidateSeconds(*rates, GroupSize())},
                 {"bytes_per_rank", rates->bytes_per_rank}});
    for (const Prediction& prediction : Predictions(*rates)) {
      json["predictions"].push_back(
          {{"machines", prediction.machines}, {"groups", prediction.groups}, {"search_seconds", prediction.seconds}});
    }
    return json;
  }

  std::int64_t machines_ = 1;
  double seconds_ = 0.8;
  bool json_ = false;
  ConfigFile file_;
  int cores_ = 1;
  std::vector<MachineRates> machine_;
};

}  // namespace

std::unique_ptr<Command> MakeBenchCommand() { return std::make_unique<BenchCommand>(); }

}  // namespace lcsc
