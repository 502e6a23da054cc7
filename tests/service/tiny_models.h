// A tiny network, extractor and reference on disk, with weights from torch's seeded generator.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "lcsc/config/evaluation_options.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/metric/frechet.h"
#include "lcsc/model/registry.h"

namespace lcsc {

inline nlohmann::json TinyNetworkJson() {
  return {{"model_type", "SongUNet"},
          {"precond", "EDMPrecond"},
          {"img_resolution", 8},
          {"img_channels", 1},
          {"label_dim", 0},
          {"sigma_data", 0.5},
          {"model_channels", 8},
          {"channel_mult", {1, 1}},
          {"num_blocks", 1},
          {"dropout", 0.0},
          {"attn_resolutions", nlohmann::json::array()}};
}

inline nlohmann::json TinyExtractorJson() {
  return {{"model_type", "DigitsClassifier"},
          {"img_resolution", 8},
          {"img_channels", 1},
          {"channels", 8},
          {"feature_dim", 6},
          {"num_classes", 10}};
}

class TinyModels {
 public:
  explicit TinyModels(const std::filesystem::path& folder) : folder_(folder) {
    std::filesystem::create_directories(folder_);
    at::manual_seed(5);
    const auto extractor = MakeFeatureExtractor(TinyExtractorJson());
    WriteSafetensors(extractor_path(), StateDict(*extractor), {{"config", TinyExtractorJson().dump()}});
    const at::NoGradGuard no_gradients;
    FeatureStatistics statistics(6);
    statistics.Add(LoadFeatureExtractor(extractor_path())->Features(RandomImages(200)));
    WriteReference(reference_path(), {GaussianOf(statistics), ""});
  }

  // A checkpoint whose weights are those of `seed`, moved by `shift` times noise of their own.
  NamedTensors Weights(std::uint64_t seed, double shift = 0) const {
    at::manual_seed(11);
    const auto network = MakeDenoiser(TinyNetworkJson());
    NamedTensors weights;
    at::manual_seed(seed);
    for (const auto& [name, tensor] : StateDict(*network)) {
      weights[name] = tensor.detach().clone();
      weights[name] += shift * at::randn_like(weights[name]);
    }
    return weights;
  }

  std::filesystem::path WriteCheckpoint(const std::string& name, const NamedTensors& weights, std::int64_t step) const {
    const auto path = folder_ / (name + ".safetensors");
    WriteSafetensors(path, weights, {{"config", TinyNetworkJson().dump()}, {"step", std::to_string(step)}});
    return path;
  }

  // [n, 1, 8, 8] uint8.
  static at::Tensor RandomImages(std::int64_t n) {
    at::manual_seed(3);
    return at::randint(0, 256, {n, 1, 8, 8}, at::kLong).to(at::kByte);
  }

  EvaluationOptions Options() const {
    EvaluationOptions options;
    options.extractor = extractor_path();
    options.reference = reference_path();
    options.trajectory = folder_ / "tiny.traj";
    options.num_samples = 60;
    options.batch_size = 16;
    return options;
  }

  std::filesystem::path extractor_path() const { return folder_ / "extractor.safetensors"; }
  std::filesystem::path reference_path() const { return folder_ / "reference.npz"; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

}  // namespace lcsc
