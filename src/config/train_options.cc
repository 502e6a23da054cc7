#include "lcsc/config/train_options.h"

namespace lcsc {
namespace {

constexpr std::int64_t kMaxIterations = 1'000'000'000;

// All of it decides the weights that come out, and so is part of an output's identity.
OptionText Text(const char* name, const char* unit, const char* help) { return {"train", name, unit, help, true}; }
OptionText FreeText(const char* name, const char* unit, const char* help) { return {"train", name, unit, help, false}; }

void AddClassifierOptions(OptionSet& set, TrainOptions& options) {
  set.Add(Text("feature_dim", "features", "width of the feature network's penultimate layer"), &options.feature_dim,
          {1, 4096});
  set.Add(Text("classifier_iterations", "iterations", "training of the feature network"),
          &options.classifier_iterations, {1, kMaxIterations});
  set.Add(Text("classifier_learning_rate", "", "Adam's first learning rate; it falls linearly to 0"),
          &options.classifier_learning_rate, {0, 1});
}

void AddDiffusionOptions(OptionSet& set, TrainOptions& options) {
  set.Add(Text("diffusion_iterations", "iterations", "training of the diffusion model"), &options.diffusion_iterations,
          {1, kMaxIterations});
  set.Add(Text("diffusion_learning_rate", "", "Adam's first learning rate; it falls linearly to 0"),
          &options.diffusion_learning_rate, {0, 1});
  set.Add(Text("diffusion_p_mean", "ln sigma", "mean of the training noise levels' logarithm (P_mean of EDM)"),
          &options.diffusion_p_mean, {-20, 20});
  set.Add(Text("diffusion_p_std", "ln sigma", "standard deviation of the same (P_std of EDM)"),
          &options.diffusion_p_std, {0, 20});
}

void AddTuningOptions(OptionSet& set, TrainOptions& options) {
  set.Add(Text("tuning_iterations", "iterations", "consistency tuning; the last iteration saves the last checkpoint"),
          &options.tuning_iterations, {1, kMaxIterations});
  set.Add(Text("tuning_learning_rate", "", "Adam's learning rate, constant: a high one keeps the checkpoints diverse"),
          &options.tuning_learning_rate, {0, 1});
  set.Add(Text("tuning_p_mean", "ln t", "mean of the logarithm of the noise levels t (P_mean of ECT)"),
          &options.tuning_p_mean, {-20, 20});
  set.Add(Text("tuning_p_std", "ln t", "standard deviation of the same (P_std of ECT)"), &options.tuning_p_std,
          {0, 20});
  set.Add(Text("tuning_q", "", "q of ECT's mapping r/t = 1 - n(t) / q^ceil(iteration / d)"), &options.tuning_q,
          {1.0001, 1e6});
  set.Add(Text("tuning_d", "iterations", "d of the mapping: the gap t - r shrinks by q every d iterations"),
          &options.tuning_d, {1, kMaxIterations});
  set.Add(Text("tuning_k", "", "k of n(t) = 1 + k / (1 + exp(b t))"), &options.tuning_k, {0, 1e6});
  set.Add(Text("tuning_b", "1/sigma", "b of n(t)"), &options.tuning_b, {0, 1e6});
  set.Add(Text("tuning_c", "", "c of the adaptive weight 1 / sqrt(|D|^2 + c^2), D the difference of two images"),
          &options.tuning_c, {1e-6, 1e6});
  set.Add(Text("checkpoints", "checkpoints", "K: saved checkpoints, the last after the last iteration"),
          &options.checkpoints, {2, 100'000});
  set.Add(Text("checkpoint_interval", "iterations", "iterations between two saved checkpoints"),
          &options.checkpoint_interval, {1, kMaxIterations});
}

}  // namespace

void AddTrainOptions(OptionSet& set, TrainOptions& options) {
  set.Add(FreeText("images", "path", "labelled images: .csv(.gz) digits, .npz with arr_0 and arr_1"), &options.images);
  set.Add(FreeText("network", "path", "file with the denoiser's network JSON"), &options.network);
  set.Add(FreeText("output", "path", "folder for the extractor, the diffusion model and the checkpoints"),
          &options.output);
  set.Add(Text("seed", "", "seed of initial weights, batches, noise levels, noise and dropout"), &options.seed,
          {0, std::numeric_limits<std::int64_t>::max()});
  set.Add(FreeText("threads", "threads", "arithmetic threads; 0 is all cores"), &options.threads, {0, 4096});
  set.Add(FreeText("save_interval_s", "s", "time between two saves of the training state; a signal saves it too"),
          &options.save_interval_s, {0.01, 86400});
  set.Add(Text("batch_size", "images", "images of one training iteration"), &options.batch_size, {1, 1'000'000});
  AddClassifierOptions(set, options);
  AddDiffusionOptions(set, options);
  AddTuningOptions(set, options);
}

}  // namespace lcsc
