// Network JSON in the dialect of consistency_models and improved-diffusion: their UNet's constructor arguments, and
// those of the process around it.
#include <charconv>
#include <sstream>
#include <string_view>

#include "denoiser_families.h"
#include "lcsc/base/error.h"
#include "lcsc/model/adm_unet.h"
#include "lcsc/model/epsilon_denoiser.h"

namespace lcsc {
namespace {

std::string_view Trimmed(std::string_view word) {
  const std::size_t begin = word.find_first_not_of(' ');
  return begin == std::string_view::npos ? "" : word.substr(begin, word.find_last_not_of(' ') + 1 - begin);
}

// "32,16,8", as the training scripts write lists.
std::vector<double> ParseNumbers(const std::string& key, const std::string& text) {
  std::vector<double> numbers;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    const std::string_view digits = Trimmed(word);
    double number = 0;
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, number);
    if (error != std::errc() || stop != end || !(number > 0 && number < 65536)) {
      throw ConfigError("network JSON: \"{}\" is \"{}\"; expected numbers with commas in between", key, text);
    }
    numbers.push_back(number);
  }
  return numbers;
}

// The scripts' string holds resolutions, the constructor's list downsampling factors.
std::vector<std::int64_t> ReadAttention(JsonReader& json, std::int64_t image_size) {
  const std::string key = "attention_resolutions";
  std::vector<std::int64_t> factors;
  if (!json.HoldsString(key)) {
    factors = json.GetCounts(key, {}, 1);
  } else {
    for (const double number : ParseNumbers(key, json.Require<std::string>(key))) {
      const auto resolution = static_cast<std::int64_t>(number);
      if (static_cast<double>(resolution) != number || (resolution <= image_size && image_size % resolution != 0)) {
        throw ConfigError("network JSON: \"{}\" holds {}; expected divisors of image_size {}", key, number, image_size);
      }
      // A list for larger images is a list for these too: they have no such resolution.
      if (resolution <= image_size) factors.push_back(image_size / resolution);
    }
  }
  if (!json.Holds(key) && !json.Holds("attention_ds")) json.Require<std::string>(key);
  return json.GetCounts("attention_ds", factors, 0);
}

std::vector<double> ReadChannelMult(JsonReader& json, const std::vector<double>& fallback) {
  const std::string key = "channel_mult";
  std::vector<double> values =
      json.HoldsString(key) ? ParseNumbers(key, json.Require<std::string>(key)) : json.Get(key, fallback);
  for (const double value : values) {
    if (!(value > 0 && value < 65536)) {
      throw ConfigError("network JSON: \"{}\" holds {}; expected numbers above 0", key, value);
    }
  }
  return values;
}

// -1 is how the constructors say "not given".
std::int64_t ReadOptionalCount(JsonReader& json, const std::string& key) {
  return std::max<std::int64_t>(json.GetCount(key, -1, -1), 0);
}

AdmUNetOptions ReadUNet(JsonReader& json, QkvLayout layout) {
  AdmUNetOptions options;
  options.image_size = json.RequireCount("image_size", 1);
  options.in_channels = json.GetCount("in_channels", options.in_channels, 1);
  options.out_channels = json.GetCount("out_channels", options.out_channels, 1);
  options.model_channels = json.RequireCount("model_channels", 4);
  options.num_res_blocks = json.RequireCount("num_res_blocks", 1);
  options.attention_ds = ReadAttention(json, options.image_size);
  options.channel_mult = ReadChannelMult(json, options.channel_mult);
  options.num_classes = json.GetCount("num_classes", 0, 0);
  options.dropout = json.GetProbability("dropout", options.dropout);
  options.conv_resample = json.Get("conv_resample", options.conv_resample);
  options.use_scale_shift_norm = json.Get("use_scale_shift_norm", options.use_scale_shift_norm);
  options.num_heads = json.GetCount("num_heads", options.num_heads, 1);
  options.num_heads_upsample = ReadOptionalCount(json, "num_heads_upsample");
  options.qkv_layout = json.GetChoice<QkvLayout>(
      "qkv_layout", {{"b (three h d) s", QkvLayout::kThreeHeadDim}, {"b (h three d) s", QkvLayout::kHeadThreeDim}},
      layout);
  if (json.GetCount("dims", 2, 1) != 2) throw ConfigError("network JSON: \"dims\": expected 2, images");
  json.Get("use_checkpoint", false);
  json.Get("use_fp16", false);
  return options;
}

std::shared_ptr<Denoiser> MakeEpsilon(JsonReader& json, const AdmUNetOptions& options, const BetaDefaults& betas) {
  NoiseSchedule schedule = ReadDiscreteSchedule(json, betas);
  constexpr double kTimeRange = 1000;
  const bool rescale = json.Get("rescale_timesteps", false);
  const std::string prefix = ReadTensorPrefix(json, "");
  json.RefuseUnknownKeys();
  CheckEpsilonChannels(options.in_channels, options.out_channels);
  const double time_scale = rescale ? kTimeRange / static_cast<double>(schedule.num_timesteps()) : 1;
  return std::make_shared<EpsilonDenoiser>(std::make_shared<AdmUNet>(options), prefix, std::move(schedule), time_scale);
}

}  // namespace

std::shared_ptr<Denoiser> MakeAdmDenoiser(JsonReader& json) {
  json.Get<std::string>("model_type", "");
  AdmUNetOptions options = ReadUNet(json, QkvLayout::kThreeHeadDim);
  options.resblock_updown = json.Get("resblock_updown", options.resblock_updown);
  options.num_head_channels = ReadOptionalCount(json, "num_head_channels");
  json.Get("use_new_attention_order", false);  // what the code base itself does with it: nothing
  if (json.Holds("beta_schedule") || json.Holds("num_diffusion_timesteps")) {
    return MakeEpsilon(json, options, {.schedule = "linear", .scale = BetaScale::kPerThousandSteps});
  }
  PreconditionOptions precondition;
  PreconditionedNetwork::Range range;
  range.sigma_min = json.GetPositive("sigma_min", range.sigma_min);
  range.sigma_max = json.GetPositive("sigma_max", range.sigma_max);
  precondition.sigma_data = json.GetPositive("sigma_data", precondition.sigma_data);
  precondition.noise_time = ReadNoiseTime(json, NoiseTime::kCm);
  // A consistency function has the boundary scalings, its teacher has not.
  if (json.Get("distillation", false)) precondition.sigma_boundary = range.sigma_min;
  const std::string prefix = ReadTensorPrefix(json, "");
  json.RefuseUnknownKeys();
  if (options.in_channels != options.out_channels) {
    throw ConfigError("network JSON: in_channels {} and out_channels {}; expected as many of both, or a beta_schedule",
                      options.in_channels, options.out_channels);
  }
  return std::make_shared<PreconditionedNetwork>(std::make_shared<AdmUNet>(options), prefix, precondition, range);
}

std::shared_ptr<Denoiser> MakeImprovedDiffusionDenoiser(JsonReader& json) {
  json.Get<std::string>("model_type", "");
  AdmUNetOptions options = ReadUNet(json, QkvLayout::kHeadThreeDim);
  options.flattened_attention = true;
  if (!options.channel_mult.empty() && options.channel_mult.front() != 1) {
    throw ConfigError("network JSON: channel_mult begins with {}; improved-diffusion's network needs 1 there",
                      options.channel_mult.front());
  }
  return MakeEpsilon(json, options, {.schedule = "linear", .scale = BetaScale::kPerThousandSteps});
}

}  // namespace lcsc
