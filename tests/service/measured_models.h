// What the metrics beside FID need on disk: a reference with features, a per-image scorer, conditioning of samples.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include "service/tiny_models.h"

namespace lcsc {

// TinyModels with options under which every metric can be measured.
class MeasuredModels : public TinyModels {
 public:
  explicit MeasuredModels(const std::filesystem::path& folder) : TinyModels(folder) {
    const at::NoGradGuard no_gradients;
    const auto extractor = LoadFeatureExtractor(extractor_path());
    WriteSafetensors(features_path(), {{"features", extractor->Features(RandomImages(90))}});
    torch::jit::Module scorer("__torch__.Scorer");
    scorer.define("def forward(self, images, wish):\n    return images.float().mean([1, 2, 3]) + wish.sum(1)\n");
    scorer.save(scorer_path().string());
    WriteSafetensors(conditioning_path(), {{"wish", at::arange(14, at::kFloat).view({7, 2})}});
  }

  EvaluationOptions Options() const {
    EvaluationOptions options = TinyModels::Options();
    options.reference = features_path();
    options.scorer = scorer_path();
    options.conditioning = conditioning_path();
    return options;
  }

  std::filesystem::path features_path() const { return folder() / "reference-features.safetensors"; }
  std::filesystem::path scorer_path() const { return folder() / "scorer.ts.pt"; }
  std::filesystem::path conditioning_path() const { return folder() / "conditioning.safetensors"; }
};

}  // namespace lcsc
