// The FID Inception against features recorded from the published implementations, with weights given by a formula.
#include "lcsc/model/inception.h"

#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "lcsc/base/error.h"
#include "lcsc/io/safetensors.h"
#include "support/formula_weights.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::filesystem::path Data(const std::string& name) {
  return std::filesystem::path(LCSC_SOURCE_DIR) / "tests/data" / name;
}

double RelativeError(const at::Tensor& found, const at::Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

const nlohmann::json& Formula() {
  static const nlohmann::json json = nlohmann::json::parse(std::ifstream(Data("inception.formula.json")));
  return json;
}

// Made once: 24 million numbers.
const NamedTensors& FormulaWeights() {
  static const NamedTensors weights = [] {
    NamedTensors tensors;
    for (const auto& [name, entry] : Formula().items()) {
      tensors[name] = FormulaTensor(name, entry["shape"].get<std::vector<std::int64_t>>());
    }
    return tensors;
  }();
  return weights;
}

Inception MakeInception(InceptionProtocol protocol, InceptionTap tap = InceptionTap::kFinal) {
  return Inception(FormulaWeights(), "formula", {.protocol = protocol, .tap = tap});
}

TEST(FormulaWeights, AreThoseThatTheFixtureWasRecordedWith) {
  double worst = 0;
  for (const auto& [name, entry] : Formula().items()) {
    const at::Tensor flat = FormulaWeights().at(name).flatten();
    for (std::int64_t i = 0; i < 3; ++i) {
      worst =
          std::max(worst, std::abs(flat[i].item<double>() - entry["first"][static_cast<std::size_t>(i)].get<double>()));
    }
  }
  std::printf("formula weights: %zu tensors, largest difference %.1e\n", FormulaWeights().size(), worst);
  EXPECT_LT(worst, 1e-9);
}

struct Recorded {
  InceptionProtocol protocol;
  std::string prefix;
  std::string size;
};

class InceptionReference : public testing::TestWithParam<Recorded> {};

TEST_P(InceptionReference, GivesThePublishedFeatures) {
  const c10::InferenceMode no_gradients;
  const NamedTensors io = ReadSafetensors(Data("inception.io.safetensors"));
  const auto& [protocol, prefix, size] = GetParam();
  const Extraction found = MakeInception(protocol).Extract(io.at("images_" + size));
  const double error = RelativeError(found.features, io.at(prefix + ".features_" + size));
  std::printf("%s, %s x %s: relative L2 error of the features %.2e\n", prefix.c_str(), size.c_str(), size.c_str(),
              error);
  EXPECT_LT(error, 1e-5);
  if (protocol != InceptionProtocol::kTf1) return;
  const double logit_error = RelativeError(found.logits, io.at(prefix + ".logits_unbiased_" + size));
  std::printf("%s, %s x %s: relative L2 error of the logits %.2e\n", prefix.c_str(), size.c_str(), size.c_str(),
              logit_error);
  EXPECT_LT(logit_error, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Recorded, InceptionReference,
                         testing::Values(Recorded{InceptionProtocol::kTf1, "tf1_resize", "32"},
                                         Recorded{InceptionProtocol::kTf1, "tf1_resize", "64"},
                                         Recorded{InceptionProtocol::kPytorchFid, "pytorch_fid", "32"},
                                         Recorded{InceptionProtocol::kPytorchFid, "pytorch_fid", "64"}));

}  // namespace
}  // namespace lcsc
