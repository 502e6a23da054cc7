
#include "app/command.h"
#include "app/image_scores.h"
#include "app/report.h"
#include "app/weights.h"
#include "lcsc/base/digest.h"
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
    return "measures one network's samples, or given images, against a reference; all ranks share the samples";
  }

  void AddOptions(OptionSet& set) override {
    weights_.AddOptions(set, "weights to sample from");
    set.Add({"", "images", "path",
             "images to score instead: .npz (uint8 [n, h, w, c], arr_0 or --key), .safetensors (uint8 [n, c, h, w], "
             "the tensor "
             "images or --key), a folder of PNG, .csv(.gz) digits"},
            &images_);
    set.Add({"", "metrics", "names",
             "any of fid, kid, is (inception score), prc (precision and recall), score (mean of evaluation.scorer); "
             "none: what evaluation.objective needs"},
            &metric_words_);
    set.Add({"", "scores_output", "path", "with the metric score: the scores of all images, .safetensors"},
            &scores_output_);
    set.Add({"", "baseline_scores", "path",
             "with the metric score: what --scores-output wrote of other weights; prints the share of images that "
             "score higher here, ties half"},
            &baseline_scores_);
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
        images = ReadImageSet(images_, weights_.key);
        file_.evaluation.num_samples = images.images.size(0);
      } else {
        network = weights_.Load();
      }
      scorer = std::make_unique<Scorer>(file_.evaluation, metrics_, *group);
      if (network) scorer->CheckFits(*network);
      ReadBaseline();
      WarnOfReference(world, file_.evaluation, metrics_);
    });
    const Measurement measurement = network ? scorer->MeasureNetwork(*network) : scorer->MeasureImages(images.images);
    if (!group->IsLeader()) return ExitCode::kDone;
    if (!measurement.failure.empty()) {
      throw InputError("{}: no score: {}", network ? weights_.weights : images_, measurement.failure);
    }
    if (!scores_output_.empty()) WriteImageScores(scores_output_, measurement.image_scores, Facts());
    Print(measurement, network.get());
    return ExitCode::kDone;
  }

 private:
  void Check(const OptionSet& set) {
    if (weights_.weights.empty() == images_.empty()) {
      throw ConfigError("evaluate: expected either --weights or --images, found {}",
                        weights_.weights.empty() ? "neither" : "both");
    }
    metrics_ = metric_words_.empty() ? Objective(file_.evaluation.objective).metrics()
                                     : ParseMetrics(metric_words_, "--metrics");
    for (const std::string& key : RequiredOptions(metrics_)) set.Require(key);
    for (const auto& [option, value] :
         {std::pair("--scores-output", &scores_output_), std::pair("--baseline-scores", &baseline_scores_)}) {
      if (!value->empty() && !metrics_.contains(Metric::kScore)) {
        throw ConfigError("{}: expected the metric score beside it, found --metrics without; add --metrics score",
                          option);
      }
    }
  }

  nlohmann::json Facts() const { return ScoreFacts(file_.evaluation, /*are_samples=*/!weights_.weights.empty()); }

  // Before anything is drawn, so that what cannot be compared is not computed.
  void ReadBaseline() {
    if (!baseline_scores_.empty()) baseline_ = ReadImageScores(baseline_scores_, Facts());
  }

  // network: that of the weights, or null.
  void Print(const Measurement& measurement, const Denoiser* network) const {
    const EvaluationOptions& options = file_.evaluation;
    nlohmann::json json = MeasureJson(options, metrics_);
    json.update(nlohmann::json(measurement.values));
    json.update({{"num_samples", options.num_samples},
                 {"seed", weights_.weights.empty() ? nlohmann::json() : nlohmann::json(options.seed)}});
    if (metric_words_.empty() && options.objective != "fid") {
      json["objective"] = options.objective;
      json["objective_value"] = Objective(options.objective).ValueOf(measurement.values);
    }
    if (baseline_.defined()) {
      json["win_rate"] = WinRate(measurement.image_scores, baseline_);
      json["baseline_scores"] = baseline_scores_;
      json["baseline_scores_digest"] = DigestOfFile(baseline_scores_);
    }
    if (network != nullptr) {
      json["weights"] = weights_.weights;
      if (!weights_.key.empty()) json["key"] = weights_.key;
      json["sampler"] = options.sampler;
      json["activations"] = options.precision;
      json["function_evaluations"] = FunctionEvaluationsOf(options, *network);
    } else {
      json["images"] = images_;
    }
    PrintResult(json, json_);
  }

  WeightsOptions weights_;
  std::string images_, scores_output_, baseline_scores_;
  std::vector<std::string> metric_words_;
  MetricSet metrics_;
  at::Tensor baseline_;
  bool json_ = false;
  ConfigFile file_;
};

}  // namespace

std::unique_ptr<Command> MakeEvaluateCommand() { return std::make_unique<EvaluateCommand>(); }

}  // namespace lcsc
