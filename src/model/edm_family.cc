// Network JSON in EDM's dialect: the arguments of its preconditioning and network classes.
#include <limits>

#include "denoiser_families.h"
#include "lcsc/base/error.h"
#include "lcsc/model/dhariwal_unet.h"
#include "lcsc/model/song_unet.h"

namespace lcsc {
namespace {

enum class EdmPrecond { kVp, kVe, kEdm, kConsistency, kEct };
enum class EdmModel { kSong, kDhariwal };

// "precond": "EDMPrecond", or EDM's own "class_name": "training.networks.EDMPrecond".
EdmPrecond ReadPrecond(JsonReader& json) {
  const std::vector<std::pair<std::string, EdmPrecond>> known = {{"VPPrecond", EdmPrecond::kVp},
                                                                 {"VEPrecond", EdmPrecond::kVe},
                                                                 {"EDMPrecond", EdmPrecond::kEdm},
                                                                 {"ConsistencyPrecond", EdmPrecond::kConsistency},
                                                                 {"ECMPrecond", EdmPrecond::kEct}};
  const std::string key = json.Holds("class_name") && !json.Holds("precond") ? "class_name" : "precond";
  std::string word = json.Require<std::string>(key);
  if (key == "class_name") {
    word = word.substr(word.rfind('.') + 1);
  } else {
    json.Get<std::string>("class_name", "");
  }
  std::vector<std::string> words;
  for (const auto& [name, precond] : known) {
    if (name == word) return precond;
    words.push_back(name);
  }
  json.RefuseWord(key, word, words);
}

struct Preconditioning {
  PreconditionOptions options;
  PreconditionedNetwork::Range range;
};

// Arguments that the class in question does not use are read nevertheless: training options carry them.
Preconditioning ReadPreconditioning(JsonReader& json, EdmPrecond precond) {
  Preconditioning result;
  PreconditionOptions& options = result.options;
  options.sigma_data = json.GetPositive("sigma_data", options.sigma_data);
  options.beta_d = json.GetPositive("beta_d", options.beta_d);
  options.beta_min = json.GetPositive("beta_min", options.beta_min);
  options.num_timesteps = json.GetPositive("M", options.num_timesteps);
  options.noise_time = ReadNoiseTime(json, options.noise_time);
  const double epsilon_t = json.GetPositive("epsilon_t", 1e-5);
  json.Get("use_fp16", false);
  PreconditionedNetwork::Range& range = result.range;
  if (precond == EdmPrecond::kVp) {
    options.kind = PreconditionKind::kVp;
    range = {VpNoiseLevel(options, epsilon_t), VpNoiseLevel(options, 1)};
  } else if (precond == EdmPrecond::kVe) {
    options.kind = PreconditionKind::kVe;
    range = {0.02, 100};
  } else if (precond == EdmPrecond::kEct) {
    range.sigma_min = 0.003;
  }
  // EDM's classes say 0 and infinity where they mean that they set no limit.
  const double sigma_min = json.Get("sigma_min", range.sigma_min);
  const double sigma_max = json.Get("sigma_max", range.sigma_max);
  if (!(sigma_min >= 0 && sigma_min < sigma_max)) {
    throw ConfigError("network JSON: sigma_min {} and sigma_max {}; expected 0 <= sigma_min < sigma_max", sigma_min,
                      sigma_max);
  }
  const bool consistency = precond == EdmPrecond::kConsistency || precond == EdmPrecond::kEct;
  if (consistency) options.sigma_boundary = sigma_min;
  if (sigma_min > 0) range.sigma_min = sigma_min;
  if (sigma_max < std::numeric_limits<double>::infinity()) range.sigma_max = sigma_max;
  return result;
}

// The arguments that both networks have.
template <typename Options>
void ReadShared(JsonReader& json, Options& options) {
  options.img_resolution = json.RequireCount("img_resolution", 1);
  options.in_channels = options.out_channels = json.RequireCount("img_channels", 1);
  options.label_dim = json.GetCount("label_dim", options.label_dim, 0);
  options.augment_dim = json.GetCount("augment_dim", options.augment_dim, 0);
  options.model_channels = json.GetCount("model_channels", options.model_channels, 4);
  options.channel_mult = json.GetCounts("channel_mult", options.channel_mult, 1);
  options.channel_mult_emb = json.GetCount("channel_mult_emb", options.channel_mult_emb, 1);
  options.num_blocks = json.GetCount("num_blocks", options.num_blocks, 1);
  options.attn_resolutions = json.GetCounts("attn_resolutions", options.attn_resolutions, 0);
  options.dropout = json.GetProbability("dropout", options.dropout);
  options.label_dropout = json.GetProbability("label_dropout", options.label_dropout);
}

SongUNetOptions ReadSongUNet(JsonReader& json) {
  SongUNetOptions options;
  ReadShared(json, options);
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
  return options;
}

}  // namespace

std::shared_ptr<Denoiser> MakeEdmDenoiser(JsonReader& json) {
  const EdmPrecond precond = ReadPrecond(json);
  const bool from_song = precond == EdmPrecond::kVp || precond == EdmPrecond::kVe;
  const EdmModel model =
      json.GetChoice<EdmModel>("model_type", {{"SongUNet", EdmModel::kSong}, {"DhariwalUNet", EdmModel::kDhariwal}},
                               from_song ? EdmModel::kSong : EdmModel::kDhariwal);
  const auto [options, range] = ReadPreconditioning(json, precond);
  const std::string prefix = ReadTensorPrefix(json, "model.");
  std::shared_ptr<BareNetwork> network;
  if (model == EdmModel::kSong) {
    const SongUNetOptions song = ReadSongUNet(json);
    json.RefuseUnknownKeys();
    network = std::make_shared<SongUNet>(song);
  } else {
    DhariwalUNetOptions dhariwal;
    ReadShared(json, dhariwal);
    json.RefuseUnknownKeys();
    network = std::make_shared<DhariwalUNet>(dhariwal);
  }
  return std::make_shared<PreconditionedNetwork>(std::move(network), prefix, options, range);
}

}  // namespace lcsc
