#include <cstdio>

#include "app/command.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/stop_signal.h"
#include "lcsc/base/table.h"
#include "lcsc/train/train.h"

namespace lcsc {
namespace {

class TrainCommand : public Command {
 public:
  std::string name() const override { return "train"; }
  std::string summary() const override {
    return "trains the digits example: feature network, diffusion model, consistency model with its checkpoints";
  }

  void AddOptions(OptionSet& set) override {
    AddJsonFlag(set, &json_);
    file_.AddOptions(set);
    set.ExposeSection("train");
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    if (world.world_rank != 0) return ExitCode::kDone;
    InstallStopSignals();
    for (const char* key : {"train.images", "train.network", "train.output"}) set.Require(key);
    const TrainReport report = Train(file_.train);
    std::fputs((json_ ? Json(report).dump() + "\n" : Text(report)).c_str(), stdout);
    return report.outcome == TrainOutcome::kInterrupted ? ExitCode::kInterrupted : ExitCode::kDone;
  }

 private:
  static nlohmann::json Json(const TrainReport& report) {
    nlohmann::json json = {{"interrupted", report.outcome == TrainOutcome::kInterrupted},
                           {"parameters", report.num_parameters},
                           {"classifier_accuracy", report.classifier_accuracy},
                           {"extractor", report.extractor.string()},
                           {"diffusion", report.diffusion.string()},
                           {"checkpoints", report.checkpoints.string()}};
    for (const StageReport& stage : report.stages) {
      json["stages"].push_back(
          {{"stage", stage.title}, {"iterations", stage.iterations}, {"seconds", stage.seconds}, {"loss", stage.loss}});
    }
    return json;
  }

  static std::string Text(const TrainReport& report) {
    Table table({"stage", "iterations", "time", "loss"});
    for (const StageReport& stage : report.stages) {
      const bool earlier = stage.iterations == 0;
      table.AddRow({stage.title, earlier ? "done before" : fmt::format("{}", stage.iterations),
                    earlier ? "-" : FormatDuration(stage.seconds), earlier ? "-" : fmt::format("{:.4f}", stage.loss)});
    }
    return fmt::format("{}\n{} parameters; feature network accuracy {:.1f}%; checkpoints {}{}\n", table.ToString(),
                       report.num_parameters, 100 * report.classifier_accuracy, report.checkpoints.string(),
                       report.outcome == TrainOutcome::kInterrupted ? "; interrupted, the same command continues" : "");
  }

  bool json_ = false;
  ConfigFile file_;
};

}  // namespace

std::unique_ptr<Command> MakeTrainCommand() { return std::make_unique<TrainCommand>(); }

}  // namespace lcsc
