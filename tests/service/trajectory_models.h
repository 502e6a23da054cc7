// A trajectory of four checkpoints for the tests of gradients.
#pragma once

#include "lcsc/service/candidate_evaluator.h"
#include "lcsc/store/packer.h"
#include "service/measured_models.h"

namespace lcsc {

class TrajectoryModels : public MeasuredModels {
 public:
  explicit TrajectoryModels(const std::filesystem::path& folder) : MeasuredModels(folder) {
    for (const int step : {1, 2, 3, 4}) {
      WriteCheckpoint("moved-" + std::to_string(step), Moved(step), step);
    }
    PackOptions pack;
    pack.checkpoints = folder / "moved-*.safetensors";
    pack.output = MeasuredModels::Options().trajectory;
    Pack(pack);
  }

  // Images that are not clamped, of a network without zeros.
  EvaluationOptions Options() const {
    EvaluationOptions options = MeasuredModels::Options();
    options.quantisation = "none";
    options.conditioning.clear();
    options.scorer.clear();
    return options;
  }

  static Candidate Somewhere() {
    Candidate candidate{.id = 7, .coefficients = {0, 0.5, -0.25, 0.6}, .wants_gradient = true};
    CompleteFirst(candidate.coefficients);
    return candidate;
  }

 private:
  NamedTensors Moved(int step) const {
    NamedTensors weights = Weights(20, 0.1);
    at::manual_seed(static_cast<std::uint64_t>(30 + step));
    for (auto& [name, tensor] : weights) tensor += 0.05 * at::randn_like(tensor);
    return weights;
  }
};

inline EvaluatorLimits WithGradients() { return {.memory = {}, .gradients = true}; }

}  // namespace lcsc
