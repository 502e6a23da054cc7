// In float64, where differences are exact enough to tell a right derivative from a nearly right one.
#include <gtest/gtest.h>

#include <cmath>

#include "lcsc/model/song_unet.h"
#include "service/trajectory_models.h"
#include "service/weight_gradient.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

// A SongUNet that computes in float64, as a denoiser whose images are seldom clipped.
class ExactDenoiser : public Denoiser {
 public:
  ExactDenoiser() {
    SongUNetOptions options;
    options.img_resolution = 8;
    options.in_channels = options.out_channels = 1;
    options.model_channels = 8;
    options.channel_mult = {1, 1};
    options.num_blocks = 1;
    options.attn_resolutions = {};
    options.dropout = 0;
    at::manual_seed(2);
    network_ = register_module("network", std::make_shared<SongUNet>(options));
    to(at::kDouble);
    eval();
  }
  at::Tensor Denoise(const at::Tensor& x, const at::Tensor& sigma, const Conditioning&) override {
    const at::Tensor scaled = x.to(at::kDouble) / (1 + sigma.to(at::kDouble)).view({-1, 1, 1, 1});
    const at::Tensor time = sigma.to(at::kDouble).log() / 4;
    return 0.3 * at::tanh(scaled + network_->Forward(scaled, time.view({-1}), {}));
  }
  std::int64_t img_channels() const override { return 1; }
  std::int64_t img_resolution() const override { return 8; }
  std::int64_t label_dim() const override { return 0; }

 private:
  std::shared_ptr<SongUNet> network_;
};

struct Case {
  const char* name;
  const char* sampler;
  std::vector<double> consistency_sigmas;
  std::int64_t num_samples;
  double step;
};

class ExactGradientTest : public ::testing::TestWithParam<Case> {};

// Along the gradient, in the space of the weights: of all directions the one in which the difference is largest beside
// its rounding. (Features travel as float32 where a metric needs them all, so KID has its test in the metric room.)
TEST_P(ExactGradientTest, IsTheDifferenceOfScores) {
  const Case& tested = GetParam();
  TempFolder folder;
  const TrajectoryModels models(folder.path());
  EvaluationOptions options = models.Options();
  options.sampler = tested.sampler;
  options.consistency_sigmas = tested.consistency_sigmas;
  options.num_samples = tested.num_samples;
  options.steps = 4;
  options.sigma_max = 1;
  LocalCollective alone;
  Scorer scorer(options, alone);
  scorer.PrepareGradients();
  ExactDenoiser network;
  const NamedTensors state = StateDict(network);
  std::vector<TensorEntry> entries;
  for (const auto& [name, tensor] : state) {
    if (tensor.is_floating_point()) entries.push_back({.name = name, .shape = tensor.sizes().vec()});
  }
  const TensorTable table(entries);
  at::manual_seed(9);
  const at::NoGradGuard no_gradients;
  const auto add = [&](const at::Tensor& flat) {
    for (const TensorEntry& entry : table.entries()) {
      at::Tensor weight = state.at(entry.name);
      weight.add_(flat.narrow(0, entry.offset, entry.num_elements()).view(entry.shape));
    }
  };
  add(0.1 * at::randn({table.num_elements()}, at::kDouble));

  StageSpans spans;
  std::vector<double> gradient;
  {
    const at::AutoGradMode with_gradients(true);
    const auto tally = scorer.Draw(network, spans);
    const auto of_features = scorer.GradientOf(*tally, alone, spans);
    ASSERT_TRUE(of_features) << tally->failure;
    WeightGradient sum(network, table);
    scorer.AddWeightGradient(network, *of_features, Candidate{}, *tally, sum, spans);
    ASSERT_EQ(tally->failure, "");
    gradient.assign(sum.flat().begin(), sum.flat().end());
  }
  const at::Tensor slopes = at::tensor(gradient), direction = slopes / slopes.norm();
  const auto score_at = [&](double h) {
    add(h * direction);
    const double score = *scorer.ScoreNetwork(network).score;
    add(-h * direction);
    return score;
  };
  const auto difference = [&](double h) { return (score_at(h) - score_at(-h)) / (2 * h); };
  const double expected = (4 * difference(tested.step / 2) - difference(tested.step)) / 3;
  const double found = slopes.dot(direction).item<double>();
  std::printf("%s: relative error %.2g of %.4g\n", tested.name, std::abs(found / expected - 1), expected);
  EXPECT_NEAR(found, expected, 1e-6 * std::abs(expected));
}

INSTANTIATE_TEST_SUITE_P(Cases, ExactGradientTest,
                         testing::Values(Case{"OneStep", "consistency", {}, 60, 5e-3},
                                         Case{"TwoSteps", "consistency", {0.8}, 60, 5e-3},
                                         Case{"Heun", "edm-heun", {}, 60, 6e-4},
                                         Case{"FewSamples", "consistency", {}, 5, 5e-3}),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace lcsc
