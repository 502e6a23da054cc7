#include <cstdio>

#include "app/command.h"
#include "app/report.h"
#include "app/weights.h"
#include "lcsc/base/table.h"
#include "lcsc/comm/group.h"
#include "lcsc/io/image_set.h"
#include "lcsc/model/threads.h"
#include "lcsc/service/scorer.h"

namespace lcsc {
namespace {

class EvaluateCommand : public Command {
 public:
  std::string name() const override { return "evaluate"; }
  std::string summary() const override {
    return "scores one network's samples, or given images, against a reference; all ranks share the samples";
  }

  void AddOptions(OptionSet& set) override {
    weights_.AddOptions(set, "weights to sample from");
    set.Add({"", "images", "path", "images to score instead: .csv(.gz) digits, .npz (arr_0), a folder of PNG"},
            &images_);
    AddJsonFlag(set, &json_);
    file_.AddOptions(set);
    set.ExposeSection("evaluation");
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    AgreeOnSetUp(world, [&] { Check(set); });
    SetArithmeticThreads(ThreadsPerRank(world, file_.run.threads, RankZero::kWorks));
    const auto group = JoinWorld(world);
    std::unique_ptr<Scorer> scorer;
    std::shared_ptr<Denoiser> network;
    ImageSet images;
    AgreeOnSetUp(world, [&] {
      if (weights_.weights.empty()) {
        images = ReadImageSet(images_);
        file_.evaluation.num_samples = images.images.size(0);
      } else {
        network = weights_.Load();
      }
      scorer = std::make_unique<Scorer>(file_.evaluation, *group);
      if (network) scorer->CheckFits(*network);
    });
    const Outcome outcome = network ? scorer->ScoreNetwork(*network) : scorer->ScoreImages(images.images);
    if (!group->IsLeader()) return ExitCode::kDone;
    if (!outcome.score) throw InputError("{}: no score: {}", network ? weights_.weights : images_, outcome.failure);
    Print(*outcome.score, network.get());
    return ExitCode::kDone;
  }

 private:
  void Check(const OptionSet& set) const {
    if (weights_.weights.empty() == images_.empty()) {
      throw ConfigError("evaluate: expected either --weights or --images, found {}",
                        weights_.weights.empty() ? "neither" : "both");
    }
    set.Require("evaluation.extractor");
    set.Require("evaluation.reference");
  }

  // network: that of the weights, or null.
  void Print(double fid, const Denoiser* network) const {
    const EvaluationOptions& options = file_.evaluation;
    nlohmann::json json = MeasureJson(options);
    json.update({{"fid", fid},
                 {"num_samples", options.num_samples},
                 {"seed", weights_.weights.empty() ? nlohmann::json() : nlohmann::json(options.seed)}});
    if (network != nullptr) {
      json["weights"] = weights_.weights;
      if (!weights_.key.empty()) json["key"] = weights_.key;
      json["sampler"] = options.sampler;
      json["function_evaluations"] = FunctionEvaluationsOf(options, *network);
    } else {
      json["images"] = images_;
    }
    if (json_) {
      std::printf("%s\n", json.dump().c_str());
      return;
    }
    Table table({"what", "value"});
    for (const auto& [key, value] : json.items()) {
      table.AddRow({key, value.is_string() ? value.get<std::string>() : value.dump()});
    }
    std::fputs(table.ToString().c_str(), stdout);
  }

  WeightsOptions weights_;
  std::string images_;
  bool json_ = false;
  ConfigFile file_;
};

}  // namespace

std::unique_ptr<Command> MakeEvaluateCommand() { return std::make_unique<EvaluateCommand>(); }

}  // namespace lcsc
