#include "lcsc/service/reference_check.h"

#include <array>
#include <vector>

#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lcsc/metric/feature_file.h"
#include "lcsc/model/registry.h"

namespace lcsc {
namespace {

constexpr const char* kProtocol = "protocol";
constexpr const char* kExtractorDigest = "extractor_digest";

struct Difference {
  const char* what;
  std::string reference, evaluation;
};

std::vector<Difference> DifferencesOf(const FeatureFile& reference, const EvaluationOptions& options) {
  const std::array<Difference, 2> facts = {
      {{"protocol", reference.Fact(kProtocol), ExtractorProtocol(options.extractor, options.extraction)},
       {"digest of the extractor", reference.Fact(kExtractorDigest), DigestOfFile(options.extractor)}}};
  std::vector<Difference> differences;
  for (const Difference& fact : facts) {
    if (!fact.reference.empty() && fact.reference != fact.evaluation) differences.push_back(fact);
  }
  return differences;
}

bool IsAllowed(const EvaluationOptions& options) { return options.reference_mismatch == "allow"; }

}  // namespace

void CheckReferenceOrigin(const EvaluationOptions& options) {
  if (IsAllowed(options)) return;
  for (const auto& [what, found, expected] : DifferencesOf(FeatureFile(options.reference), options)) {
    throw InputError(
        "evaluation.reference {}: expected the {} {} of evaluation.extractor {}, found {}; make the reference again "
        "with "
        "`lcsc reference`, or accept it with evaluation.reference_mismatch = allow",
        options.reference, what, expected, options.extractor, found);
  }
}

std::string ReferenceAssumption(const EvaluationOptions& options) {
  const FeatureFile reference(options.reference);
  if (reference.Fact(kProtocol).empty() && reference.Fact(kExtractorDigest).empty()) {
    return fmt::format("reference {} does not say how it was made; taken for features of protocol {} by {}",
                       options.reference, ExtractorProtocol(options.extractor, options.extraction), options.extractor);
  }
  if (!IsAllowed(options)) return "";
  std::string text;
  for (const auto& [what, found, expected] : DifferencesOf(reference, options)) {
    text += fmt::format("{}{} {} instead of {}", text.empty() ? "" : ", ", what, found, expected);
  }
  return text.empty() ? "" : fmt::format("reference {} was made with {}; allowed", options.reference, text);
}

}  // namespace lcsc
