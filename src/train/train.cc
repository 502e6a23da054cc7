#include "lcsc/train/train.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <memory>

#include "lcsc/base/atomic_file.h"
#include "lcsc/base/error.h"
#include "lcsc/base/log.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/model/digits_classifier.h"
#include "lcsc/model/precondition.h"
#include "lcsc/model/registry.h"
#include "lcsc/model/threads.h"
#include "lcsc/train/objectives.h"
#include "lcsc/train/stage.h"
#include "lcsc/train/training_identity.h"
#include "lcsc/train/training_set.h"

namespace lcsc {
namespace {

namespace fs = std::filesystem;

nlohmann::json ReadNetworkJson(const fs::path& path) {
  std::ifstream file(path);
  if (!file) throw InputError("train.network: cannot read {}; check that the file exists", path.string());
  try {
    return nlohmann::json::parse(file);
  } catch (const nlohmann::json::exception& error) {
    throw InputError("train.network: {} is no JSON: {}", path.string(), error.what());
  }
}

ImageSet ReadLabelledImages(const fs::path& path) {
  ImageSet images = ReadImageSet(path);
  if (!images.labels.defined()) {
    throw InputError("train.images: {} has no labels; the feature network is trained on them", path.string());
  }
  return images;
}

std::function<double(std::int64_t)> FallingRate(double first, std::int64_t iterations) {
  return [=](std::int64_t i) { return first * (1 - static_cast<double>(i) / static_cast<double>(iterations)); };
}

// One call of Train.
class Training {
 public:
  explicit Training(const TrainOptions& options);
  TrainReport Run();

 private:
  // Each returns false when it was interrupted.
  bool TrainClassifier();
  bool TrainDiffusion();
  bool TuneConsistency();

  bool RunReported(torch::nn::Module& network, const Stage& stage);
  bool SkipFinished(const std::string& title);
  void CheckImagesFit(const Denoiser& network) const;
  double AccuracyOf(const fs::path& extractor) const;
  fs::path CheckpointPath(std::int64_t step) const;
  void SaveIfCheckpoint(torch::nn::Module& network, std::int64_t step) const;

  const TrainOptions& options_;
  const std::vector<std::int64_t> checkpoint_steps_;
  const nlohmann::json network_json_;
  const TrainingSet images_;
  const fs::path state_path_;
  TrainReport report_;
};

Training::Training(const TrainOptions& options)
    : options_(options),
      checkpoint_steps_(CheckpointSteps(options)),
      network_json_(ReadNetworkJson(options.network)),
      images_(ReadLabelledImages(options.images),
              {.seed = static_cast<std::uint64_t>(options.seed), .batch_size = options.batch_size}),
      state_path_(fs::path(options.output) / "state.safetensors") {
  const std::shared_ptr<Denoiser> network = MakeDenoiser(network_json_);
  CheckImagesFit(*network);
  for (const at::Tensor& parameter : network->parameters()) report_.num_parameters += parameter.numel();
  const fs::path output = options.output;
  report_.extractor = output / "extractor.safetensors";
  report_.diffusion = output / "diffusion.safetensors";
  report_.checkpoints = output / "checkpoints";
  CreateFolder(report_.checkpoints);
  ClaimOutput(output / "train.json", IdentityOf(options, network_json_));
}

void Training::CheckImagesFit(const Denoiser& network) const {
  const at::Tensor& images = images_.all().images;
  const std::vector<std::int64_t> expected = {network.img_channels(), network.img_resolution(),
                                              network.img_resolution()};
  if (images.sizes().slice(1) != at::IntArrayRef(expected)) {
    throw ConfigError("train.network: {} makes images {}, those of {} are {}; change one of the two", options_.network,
                      ShapeText(expected), options_.images, ShapeText(images.sizes().slice(1).vec()));
  }
  if (network.label_dim() > 0 && network.label_dim() < images_.num_classes()) {
    throw ConfigError("train.network: {} has label_dim {}, the images of {} have {} classes; change one of the two",
                      options_.network, network.label_dim(), options_.images, images_.num_classes());
  }
}

bool Training::RunReported(torch::nn::Module& network, const Stage& stage) {
  const auto start = std::chrono::steady_clock::now();
  const StageResult result =
      RunStage(network, stage, {.path = state_path_, .save_interval_s = options_.save_interval_s});
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  report_.stages.push_back({stage.title, result.iterations, elapsed.count(), result.loss});
  return result.finished;
}

bool Training::SkipFinished(const std::string& title) {
  spdlog::info("{}: finished before", title);
  report_.stages.push_back({.title = title});
  return true;
}

void WriteWeights(const fs::path& path, torch::nn::Module& network, const nlohmann::json& config, std::int64_t step) {
  WriteSafetensors(path, StateDict(network), {{"config", config.dump()}, {"step", fmt::format("{}", step)}});
}

bool Training::TrainClassifier() {
  const std::string title = "feature network";
  if (fs::exists(report_.extractor)) return SkipFinished(title);
  const at::Tensor& images = images_.all().images;
  const nlohmann::json config = {{"model_type", "DigitsClassifier"},
                                 {"img_resolution", images.size(2)},
                                 {"img_channels", images.size(1)},
                                 {"feature_dim", options_.feature_dim},
                                 {"num_classes", images_.num_classes()}};
  at::manual_seed(images_.InitialWeightsSeed(TrainingStage::kClassifier));
  const auto network = std::dynamic_pointer_cast<DigitsClassifier>(MakeFeatureExtractor(config));
  const Stage stage = {.name = "classifier",
                       .title = title,
                       .iterations = options_.classifier_iterations,
                       .learning_rate = FallingRate(options_.classifier_learning_rate, options_.classifier_iterations),
                       .loss = [&](std::int64_t iteration) {
                         const TrainingBatch batch = images_.Draw(TrainingStage::kClassifier, iteration);
                         return at::cross_entropy_loss(network->Logits(batch.pixels), batch.classes);
                       }};
  if (!RunReported(*network, stage)) return false;
  WriteWeights(report_.extractor, *network, config, options_.classifier_iterations);
  return true;
}

double Training::AccuracyOf(const fs::path& extractor) const {
  const auto classifier = std::dynamic_pointer_cast<DigitsClassifier>(LoadFeatureExtractor(extractor));
  const at::NoGradGuard no_grad;
  const at::Tensor found = classifier->Logits(images_.all().images).argmax(1);
  return found.eq(images_.all().labels).to(at::kDouble).mean().item<double>();
}

bool Training::TrainDiffusion() {
  const std::string title = "diffusion model";
  if (fs::exists(report_.diffusion)) return SkipFinished(title);
  at::manual_seed(images_.InitialWeightsSeed(TrainingStage::kDiffusion));
  const std::shared_ptr<Denoiser> network = MakeDenoiser(network_json_);
  const DiffusionObjective objective = {
      .levels = {.p_mean = options_.diffusion_p_mean, .p_std = options_.diffusion_p_std},
      .sigma_data = network_json_.value("sigma_data", PreconditionOptions{}.sigma_data)};
  const Stage stage = {.name = "diffusion",
                       .title = title,
                       .iterations = options_.diffusion_iterations,
                       .learning_rate = FallingRate(options_.diffusion_learning_rate, options_.diffusion_iterations),
                       .loss = [&](std::int64_t iteration) {
                         return DiffusionLoss(*network, objective, images_.Draw(TrainingStage::kDiffusion, iteration));
                       }};
  if (!RunReported(*network, stage)) return false;
  WriteWeights(report_.diffusion, *network, network_json_, options_.diffusion_iterations);
  return true;
}

fs::path Training::CheckpointPath(std::int64_t step) const {
  return report_.checkpoints / fmt::format("step-{:06}.safetensors", step);
}

void Training::SaveIfCheckpoint(torch::nn::Module& network, std::int64_t step) const {
  if (!std::binary_search(checkpoint_steps_.begin(), checkpoint_steps_.end(), step)) return;
  WriteWeights(CheckpointPath(step), network, network_json_, step);
}

bool Training::TuneConsistency() {
  const std::string title = "consistency model";
  if (fs::exists(CheckpointPath(checkpoint_steps_.back()))) return SkipFinished(title);
  const std::shared_ptr<Denoiser> network = LoadDenoiser(report_.diffusion);
  network->train();
  const ConsistencyObjective objective = {.levels = {.p_mean = options_.tuning_p_mean, .p_std = options_.tuning_p_std},
                                          .q = options_.tuning_q,
                                          .d = options_.tuning_d,
                                          .k = options_.tuning_k,
                                          .b = options_.tuning_b,
                                          .c = options_.tuning_c};
  const Stage stage = {.name = "tuning",
                       .title = title,
                       .iterations = options_.tuning_iterations,
                       .learning_rate = [&](std::int64_t) { return options_.tuning_learning_rate; },
                       .loss =
                           [&](std::int64_t iteration) {
                             return ConsistencyLoss(*network, objective, iteration,
                                                    images_.Draw(TrainingStage::kTuning, iteration));
                           },
                       .after_iteration = [&](std::int64_t step) { SaveIfCheckpoint(*network, step); }};
  return RunReported(*network, stage);
}

TrainReport Training::Run() {
  const bool finished = TrainClassifier() && TrainDiffusion() && TuneConsistency();
  report_.outcome = finished ? TrainOutcome::kFinished : TrainOutcome::kInterrupted;
  if (finished) fs::remove(state_path_);
  if (fs::exists(report_.extractor)) report_.classifier_accuracy = AccuracyOf(report_.extractor);
  return report_;
}

}  // namespace

TrainReport Train(const TrainOptions& options) {
  if (options.threads > 0) SetArithmeticThreads(static_cast<int>(options.threads));
  return Training(options).Run();
}

namespace {

// In float32 t - r would become 0, and the loss not a number.
void CheckGapStaysAbove0(const TrainOptions& options) {
  constexpr double kLargestShrinking = 1e6;
  const double stages =
      std::ceil(static_cast<double>(options.tuning_iterations) / static_cast<double>(options.tuning_d));
  if (std::pow(options.tuning_q, stages) <= kLargestShrinking) return;
  throw ConfigError(
      "train.tuning_d: expected tuning_q^(tuning_iterations / tuning_d) of at most {:g}, found {}^{}; raise it",
      kLargestShrinking, options.tuning_q, stages);
}

}  // namespace

std::vector<std::int64_t> CheckpointSteps(const TrainOptions& options) {
  const std::int64_t last = options.tuning_iterations;
  const std::int64_t first = last - (options.checkpoints - 1) * options.checkpoint_interval;
  if (first < 1) {
    throw ConfigError(
        "train.checkpoint_interval: {} checkpoints, {} iterations apart, need more than {} iterations; "
        "train.tuning_iterations is {}: raise it, or save fewer or closer checkpoints",
        options.checkpoints, options.checkpoint_interval, last - first, last);
  }
  CheckGapStaysAbove0(options);
  std::vector<std::int64_t> steps;
  for (std::int64_t step = first; step <= last; step += options.checkpoint_interval) steps.push_back(step);
  return steps;
}

}  // namespace lcsc
