// Images recorded from the published samplers, with the networks of the same fixtures.
#include <gtest/gtest.h>

#include <regex>

#include "lcsc/io/safetensors.h"
#include "lcsc/model/registry.h"
#include "lcsc/sample/sampler.h"

namespace lcsc {
namespace {

const std::filesystem::path kData = std::filesystem::path(LCSC_SOURCE_DIR) / "tests/data";
constexpr double kTolerance = 1e-5;

// Relative error in the L2 norm, printed.
double RelativeError(const at::Tensor& found, const at::Tensor& expected, const std::string& name) {
  const double error = ((found - expected).norm() / expected.norm()).item<double>();
  std::printf("%-50s relative error %.2e\n", name.c_str(), error);
  return error;
}

// consistency_models' samplers with its class-conditional network.
class ConsistencyModelsSampler : public testing::Test {
 protected:
  at::Tensor Draw(const SamplerOptions& options) {
    const at::NoGradGuard no_gradients;
    const at::Tensor labels = at::one_hot(io_.at("y"), network_->label_dim()).to(at::kFloat);
    return Sample(
        *network_, options, [this](std::uint32_t part) { return io_.at("noise")[part]; }, labels);
  }
  double ErrorOf(const SamplerOptions& options, const std::string& name) {
    return RelativeError(Draw(options), io_.at(name), name);
  }

  const std::shared_ptr<Denoiser> network_ = LoadDenoiser(kData / "cm_adm.weights.safetensors");
  const NamedTensors io_ = ReadSafetensors(kData / "cm_sampler.io.safetensors");
};

TEST_F(ConsistencyModelsSampler, DrawsTheRecordedImages) {
  EXPECT_LT(ErrorOf({}, "onestep"), kTolerance);
  EXPECT_LT(ErrorOf({.consistency_sigmas = ConsistencySigmasFromGrid({0, 17, 39}, 40, {})}, "multistep_0_17_39"),
            kTolerance);
  EXPECT_LT(ErrorOf({.kind = SamplerKind::kKarrasHeun, .steps = 6}, "heun_6"), kTolerance);
  EXPECT_LT(ErrorOf({.kind = SamplerKind::kKarrasEuler, .steps = 6}, "euler_6"), kTolerance);
}

// "dpmsolver++|multistep|order2|steps9|logSNR", as the fixture names its tensors.
SamplerOptions OptionsOf(const std::string& name) {
  static const std::regex form(R"(dpmsolver(\+\+)?\|(\w+)\|order(\d)\|steps(\d+)\|(\w+))");
  std::smatch match;
  if (!std::regex_match(name, match, form)) throw std::invalid_argument(name);
  const std::map<std::string, SkipType> skips = {{"time_uniform", SkipType::kTimeUniform},
                                                 {"logSNR", SkipType::kLogSnr},
                                                 {"time_quadratic", SkipType::kTimeQuadratic}};
  using Prediction = DpmSolverOptions::Prediction;
  using Method = DpmSolverOptions::Method;
  return {.kind = SamplerKind::kDpmSolver,
          .steps = std::stoi(match[4]),
          .skip = skips.at(match[5]),
          .dpm_solver = {.prediction = match[1].length() > 0 ? Prediction::kData : Prediction::kNoise,
                         .method = match[2] == "multistep" ? Method::kMultistep : Method::kSinglestep,
                         .order = std::stoi(match[3])}};
}

TEST(DpmSolverReference, DrawsTheRecordedImages) {
  const at::NoGradGuard no_gradients;
  const auto network = LoadDenoiser(kData / "ddpm_unet.weights.safetensors");
  const NamedTensors io = ReadSafetensors(kData / "dpm_solver.io.safetensors");
  int compared = 0;
  for (const auto& [name, expected] : io) {
    if (name == "x_T") continue;
    const at::Tensor images = Sample(*network, OptionsOf(name), [&](std::uint32_t) { return io.at("x_T"); }, {});
    EXPECT_LT(RelativeError(images, expected, name), kTolerance) << name;
    ++compared;
  }
  EXPECT_EQ(compared, 24);
}

}  // namespace
}  // namespace lcsc
