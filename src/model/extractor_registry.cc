#include "lcsc/base/error.h"
#include "lcsc/model/digits_classifier.h"
#include "lcsc/model/json_reader.h"
#include "lcsc/model/registry.h"

namespace lcsc {

std::shared_ptr<FeatureExtractor> MakeFeatureExtractor(const nlohmann::json& json) {
  JsonReader reader(json, "feature network JSON");
  const auto type = reader.Require<std::string>("model_type");
  if (type != "DigitsClassifier") reader.RefuseWord("model_type", type, {"DigitsClassifier"});
  DigitsClassifierOptions options;
  options.img_resolution = reader.GetCount("img_resolution", options.img_resolution, 2);
  options.img_channels = reader.GetCount("img_channels", options.img_channels, 1);
  options.channels = reader.GetCount("channels", options.channels, 1);
  options.feature_dim = reader.GetCount("feature_dim", options.feature_dim, 1);
  options.num_classes = reader.GetCount("num_classes", options.num_classes, 1);
  reader.RefuseUnknownKeys();
  return std::make_shared<DigitsClassifier>(options);
}

std::shared_ptr<FeatureExtractor> LoadFeatureExtractor(const std::filesystem::path& weights) {
  const auto file = OpenTensorFile(weights);
  auto extractor = MakeFeatureExtractor(NetworkConfigOf(*file));
  LoadStateDict(*extractor, file->ReadAll(), weights.string());
  extractor->eval();
  return extractor;
}

}  // namespace lcsc
