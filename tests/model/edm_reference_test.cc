// The SongUNet against outputs recorded from the published EDM implementation on small random weights.
#include <gtest/gtest.h>

#include "lcsc/io/safetensors.h"
#include "lcsc/model/registry.h"

namespace lcsc {
namespace {

std::filesystem::path Data(const std::string& name) {
  return std::filesystem::path(LCSC_SOURCE_DIR) / "tests/data" / name;
}

double RelativeError(const at::Tensor& found, const at::Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

class EdmReference : public testing::TestWithParam<std::string> {};

TEST_P(EdmReference, DenoisesAsThePublishedImplementationDoes) {
  const auto network = LoadDenoiser(Data(GetParam() + ".weights.safetensors"));
  const NamedTensors io = ReadSafetensors(Data(GetParam() + ".io.safetensors"));
  const at::Tensor denoised = network->Denoise(io.at("x"), io.at("sigma"), {});
  const double error = RelativeError(denoised, io.at("denoised"));
  RecordProperty("relative_error", std::to_string(error));
  std::printf("%s: relative L2 error %.2e\n", GetParam().c_str(), error);
  EXPECT_LT(error, 1e-5);
}

TEST_P(EdmReference, GivesEverySampleTheSameImageInEveryBatch) {
  const auto network = LoadDenoiser(Data(GetParam() + ".weights.safetensors"));
  const NamedTensors io = ReadSafetensors(Data(GetParam() + ".io.safetensors"));
  const at::Tensor alone = network->Denoise(io.at("x").narrow(0, 1, 1), io.at("sigma").narrow(0, 1, 1), {});
  EXPECT_LT(RelativeError(alone, io.at("denoised").narrow(0, 1, 1)), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Networks, EdmReference, testing::Values("edm_ddpmpp", "edm_ncsnpp"));

}  // namespace
}  // namespace lcsc
