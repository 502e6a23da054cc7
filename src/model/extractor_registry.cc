#include "lcsc/base/error.h"
#include "lcsc/model/digits_classifier.h"
#include "lcsc/model/inception.h"
#include "lcsc/model/json_reader.h"
#include "lcsc/model/registry.h"
#include "lcsc/model/weight_budget.h"
#include "script_extractor.h"

namespace lcsc {
namespace {

enum class ExtractorKind { kInception, kDigits, kTorchScript };

template <typename Value>
Value Choose(const char* option, const std::string& word, const std::map<std::string, Value>& choices) {
  const auto found = choices.find(word);
  if (found != choices.end()) return found->second;
  std::vector<std::string> words;
  for (const auto& [known, value] : choices) words.push_back(known);
  throw ConfigError("{}: expected one of {}, found {}", option, fmt::join(words, ", "), word);
}

ExtractorKind KindOf(const std::filesystem::path& weights, const ExtractorOptions& options) {
  if (options.kind != "auto") {
    return Choose<ExtractorKind>("extractor", options.kind,
                                 {{"inception", ExtractorKind::kInception},
                                  {"digits", ExtractorKind::kDigits},
                                  {"torchscript", ExtractorKind::kTorchScript}});
  }
  if (IsScriptArchive(weights)) return ExtractorKind::kTorchScript;
  return Inception::IsInception(*OpenTensorFile(weights)) ? ExtractorKind::kInception : ExtractorKind::kDigits;
}

InceptionOptions InceptionOptionsOf(const ExtractorOptions& options) {
  return {.protocol = Choose<InceptionProtocol>(
              "protocol", options.protocol,
              {{"tf1", InceptionProtocol::kTf1}, {"pytorch-fid", InceptionProtocol::kPytorchFid}}),
          .tap = Choose<InceptionTap>("tap", options.tap,
                                      {{"64", InceptionTap::kFirstPool},
                                       {"192", InceptionTap::kSecondPool},
                                       {"768", InceptionTap::kPreAux},
                                       {"2048", InceptionTap::kFinal}})};
}

std::shared_ptr<FeatureExtractor> LoadFromJson(const TensorFile& file) {
  auto extractor = MakeFeatureExtractor(NetworkConfigOf(file));
  LoadStateDict(*extractor, file.ReadAll(), file.path().string());
  return extractor;
}

std::shared_ptr<FeatureExtractor> Load(const std::filesystem::path& weights, const ExtractorOptions& options) {
  const ExtractorKind kind = KindOf(weights, options);
  if (kind == ExtractorKind::kTorchScript) return std::make_shared<ScriptExtractor>(weights);
  const auto file = OpenTensorFile(weights);
  if (kind == ExtractorKind::kDigits) return LoadFromJson(*file);
  return std::make_shared<Inception>(file->ReadAll(), weights.string(), InceptionOptionsOf(options));
}

}  // namespace

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
  const WeightBudget budget({.elements = ElementsInMemory()});
  return std::make_shared<DigitsClassifier>(options);
}

std::shared_ptr<FeatureExtractor> LoadFeatureExtractor(const std::filesystem::path& weights,
                                                       const ExtractorOptions& options) {
  auto extractor = Load(weights, options);
  extractor->eval();
  return extractor;
}

std::string ExtractorProtocol(const std::filesystem::path& weights, const ExtractorOptions& options) {
  switch (KindOf(weights, options)) {
    case ExtractorKind::kInception:
      return options.protocol;
    case ExtractorKind::kTorchScript:
      return "torchscript";
    case ExtractorKind::kDigits:
      break;
  }
  return "digits";
}

}  // namespace lcsc
