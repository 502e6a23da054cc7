#include "app/provenance.h"

#include <c10/core/InferenceMode.h>

#include <span>

#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lcsc/model/inception.h"

namespace lcsc {

nlohmann::json ProvenanceOf(const FeatureExtractor& extractor, const std::string& weights, const at::Tensor& images) {
  const at::Tensor contiguous = images.contiguous();
  const std::span<const std::byte> bytes = {static_cast<const std::byte*>(contiguous.data_ptr()), contiguous.nbytes()};
  return {{"protocol", extractor.protocol()},
          {"feature_dim", extractor.feature_dim()},
          {"extractor_digest", DigestOfFile(weights)},
          {"images_digest", DigestOf(bytes)},
          {"num_images", images.size(0)}};
}

void CheckInceptionOptions(const OptionSet& set, const FeatureExtractor& extractor) {
  if (dynamic_cast<const Inception*>(&extractor) != nullptr) return;
  for (const char* const key : {"protocol", "tap"}) {
    if (!set.IsSet(key)) continue;
    throw ConfigError("--{}: expected with the Inception alone, found a {} extractor; leave the option out", key,
                      extractor.protocol());
  }
}

void CheckTakes(FeatureExtractor& extractor, const at::Tensor& images, const std::string& source) {
  const c10::InferenceMode no_gradients;
  try {
    extractor.Features(images.slice(0, 0, 1));
  } catch (const InputError& error) {
    throw InputError("{}: {}", source, error.what());
  }
}

}  // namespace lcsc
