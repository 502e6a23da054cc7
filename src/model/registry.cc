#include "lcsc/model/registry.h"
#include "lcsc/io/safetensors.h"

#include "lcsc/base/error.h"
#include "lcsc/model/digits_classifier.h"
#include "lcsc/model/json_reader.h"
#include "lcsc/model/precondition.h"

namespace lcsc {
namespace {

void CheckProbability(const char* key, double value) {
  if (value >= 0 && value < 1) return;
  throw ConfigError("network JSON: {}: expected a number in [0, 1), found {}", key, value);
}

constexpr const char* kConfigKey = "config";

SongUNetOptions ReadSongUNet(JsonReader& json) {
  SongUNetOptions options;
  options.img_resolution = json.RequireCount("img_resolution", 1);
  options.in_channels = options.out_channels = json.RequireCount("img_channels", 1);
  options.label_dim = json.GetCount("label_dim", options.label_dim, 0);
  options.augment_dim = json.GetCount("augment_dim", options.augment_dim, 0);
  options.model_channels = json.GetCount("model_channels", options.model_channels, 4);
  options.channel_mult = json.Get("channel_mult", options.channel_mult);
  options.channel_mult_emb = json.GetCount("channel_mult_emb", options.channel_mult_emb, 1);
  options.num_blocks = json.GetCount("num_blocks", options.num_blocks, 1);
  options.attn_resolutions = json.Get("attn_resolutions", options.attn_resolutions);
  options.dropout = json.Get("dropout", options.dropout);
  options.label_dropout = json.Get("label_dropout", options.label_dropout);
  options.embedding_type = json.GetChoice<EmbeddingType>(
      "embedding_type", {{"positional", EmbeddingType::kPositional}, {"fourier", EmbeddingType::kFourier}},
      options.embedding_type);
  options.channel_mult_noise = json.GetCount("channel_mult_noise", options.channel_mult_noise, 1);
  options.encoder_type = json.GetChoice<EncoderType>(
      "encoder_type",
      {{"standard", EncoderType::kStandard}, {"skip", EncoderType::kSkip}, {"residual", EncoderType::kResidual}},
      options.encoder_type);
  options.decoder_type = json.GetChoice<DecoderType>(
      "decoder_type", {{"standard", DecoderType::kStandard}, {"skip", DecoderType::kSkip}}, options.decoder_type);
  options.resample_filter = json.Get("resample_filter", options.resample_filter);
  CheckProbability("dropout", options.dropout);
  CheckProbability("label_dropout", options.label_dropout);
  return options;
}

PreconditionOptions ReadPrecondition(JsonReader& json) {
  constexpr double kConsistencySigmaMin = 0.002;
  const auto precond = json.Require<std::string>("precond");
  PreconditionOptions options;
  options.sigma_data = json.Get("sigma_data", options.sigma_data);
  if (!(options.sigma_data > 0)) {
    throw ConfigError("network JSON: sigma_data: expected a number above 0, found {}", options.sigma_data);
  }
  if (precond == "ConsistencyPrecond") {
    options.sigma_boundary = json.Get("sigma_min", kConsistencySigmaMin);
  } else if (precond != "EDMPrecond") {
    json.RefuseWord("precond", precond, {"EDMPrecond", "ConsistencyPrecond"});
  }
  return options;
}

// Reads the file, makes the network that its JSON describes and loads its weights.
template <typename Make>
auto Load(const std::filesystem::path& weights, Make make) {
  const SafetensorsFile file(weights);
  auto network = make(NetworkConfigOf(file));
  NamedTensors tensors;
  for (const TensorEntry& entry : file.entries()) tensors.emplace(entry.name, file.Read(entry.name));
  LoadStateDict(*network, tensors, weights.string());
  network->eval();
  return network;
}

}  // namespace

std::shared_ptr<Denoiser> MakeDenoiser(const nlohmann::json& json) {
  JsonReader reader(json, "network JSON");
  const auto type = reader.Require<std::string>("model_type");
  if (type != "SongUNet") reader.RefuseWord("model_type", type, {"SongUNet"});
  const PreconditionOptions precondition = ReadPrecondition(reader);
  const SongUNetOptions network = ReadSongUNet(reader);
  reader.RefuseUnknownKeys();
  return std::make_shared<PreconditionedUNet>(precondition, network);
}

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

nlohmann::json NetworkConfigOf(const SafetensorsFile& file) {
  const auto config = file.metadata().find(kConfigKey);
  if (config == file.metadata().end()) {
    throw InputError("{}: no network JSON; expected it as the string \"{}\" under \"__metadata__\"",
                     file.path().string(), kConfigKey);
  }
  try {
    return nlohmann::json::parse(config->second);
  } catch (const nlohmann::json::exception& error) {
    throw InputError("{}: the network JSON under \"__metadata__\" cannot be read: {}", file.path().string(),
                     error.what());
  }
}

std::shared_ptr<Denoiser> LoadDenoiser(const std::filesystem::path& weights) { return Load(weights, MakeDenoiser); }

std::shared_ptr<FeatureExtractor> LoadFeatureExtractor(const std::filesystem::path& weights) {
  return Load(weights, MakeFeatureExtractor);
}

}  // namespace lcsc
