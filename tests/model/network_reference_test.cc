// The networks against outputs recorded from the published implementations on small random weights.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "lcsc/io/safetensors.h"
#include "lcsc/model/bare_network.h"
#include "lcsc/model/registry.h"

namespace lcsc {
namespace {

std::filesystem::path Data(const std::string& name) {
  return std::filesystem::path(LCSC_SOURCE_DIR) / "tests/data" / name;
}

double RelativeError(const at::Tensor& found, const at::Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

class NetworkReference : public testing::TestWithParam<std::string> {
 protected:
  NetworkReference()
      : denoiser_(LoadDenoiser(Data(GetParam() + ".weights.safetensors"))),
        io_(ReadSafetensors(Data(GetParam() + ".io.safetensors"))) {
    if (io_.contains("class_labels")) conditioning_.labels = io_.at("class_labels");
    if (io_.contains("y")) conditioning_.labels = at::one_hot(io_.at("y"), denoiser_->label_dim()).to(at::kFloat);
  }

  // The outputs for some of the samples, by the names under which they were recorded.
  NamedTensors Outputs(std::int64_t begin, std::int64_t count) {
    const auto part = [&](const at::Tensor& all) { return all.defined() ? all.narrow(0, begin, count) : all; };
    const at::Tensor x = part(io_.at("x"));
    const Conditioning conditioning(part(conditioning_.labels));
    if (io_.contains("sigma")) {
      const Prediction prediction = denoiser_->Predict(x, part(io_.at("sigma")), conditioning);
      return {{"denoised", prediction.denoised}, {"network_output", prediction.network_output}};
    }
    auto& network = dynamic_cast<NetworkDenoiser&>(*denoiser_);
    const at::Tensor output = network.NetworkOutput(x, part(io_.at("t")).to(at::kFloat), conditioning);
    return {{"eps", output}, {"network_output", output}};
  }

  void ExpectRecorded(std::int64_t begin, std::int64_t count) {
    const NamedTensors outputs = Outputs(begin, count);
    int compared = 0;
    for (const auto& [name, output] : outputs) {
      if (!io_.contains(name)) continue;
      const double error = RelativeError(output, io_.at(name).narrow(0, begin, count));
      std::printf("%s, %s of %lld samples: relative L2 error %.2e\n", GetParam().c_str(), name.c_str(),
                  static_cast<long long>(count), error);
      EXPECT_LT(error, 1e-5) << name;
      ++compared;
    }
    EXPECT_GE(compared, 1);
  }

  const at::NoGradGuard no_grad_;
  const std::shared_ptr<Denoiser> denoiser_;
  const NamedTensors io_;
  Conditioning conditioning_;
};

TEST_P(NetworkReference, ComputesAsThePublishedImplementationDoes) { ExpectRecorded(0, io_.at("x").size(0)); }

TEST_P(NetworkReference, GivesEverySampleTheSameImageInEveryBatch) { ExpectRecorded(1, 1); }

// What the activations' type costs. Bounds: 2^-8 and 2^-11 for one rounding, times what some dozens of layers add up.
TEST_P(NetworkReference, LosesLittleIn16Bits) {
  auto& network = dynamic_cast<NetworkDenoiser&>(*denoiser_);
  const std::string name = io_.contains("eps") ? "eps" : io_.contains("denoised") ? "denoised" : "network_output";
  for (const auto& [word, least, most] : {std::tuple{"bf16", 1e-4, 4e-2}, std::tuple{"f16", 1e-5, 4e-3}}) {
    network.set_precision(PrecisionOf(word));
    const at::Tensor output = Outputs(0, io_.at("x").size(0)).at(name);
    EXPECT_EQ(output.scalar_type(), at::kFloat);
    const double error = RelativeError(output, io_.at(name));
    std::printf("%s, %s in %s: relative L2 error %.2e\n", GetParam().c_str(), name.c_str(), word, error);
    EXPECT_GT(error, least) << word;
    EXPECT_LT(error, most) << word;
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, NetworkReference,
                         testing::Values("edm_ddpmpp", "edm_ncsnpp", "edm_dhariwal", "cm_adm", "ddpm_unet",
                                         "iddpm_unet"),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace lcsc
