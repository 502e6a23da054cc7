// Network JSON in ddim's dialect, and the discrete processes of all networks for noise.
#include <algorithm>
#include <cmath>

#include "denoiser_families.h"
#include "lcsc/base/error.h"
#include "lcsc/model/ddpm_unet.h"
#include "lcsc/model/epsilon_denoiser.h"

namespace lcsc {
namespace {

enum class BetaSchedule { kLinear, kCosine, kQuad, kConst, kSigmoid };

std::vector<double> MakeBetas(BetaSchedule schedule, std::int64_t num_timesteps, double start, double end) {
  std::vector<double> betas;
  switch (schedule) {
    case BetaSchedule::kLinear:
      return LinearBetas(num_timesteps, start, end);
    case BetaSchedule::kCosine:
      return CosineBetas(num_timesteps);
    case BetaSchedule::kConst:
      return LinearBetas(num_timesteps, end, end);
    case BetaSchedule::kQuad:
      betas = LinearBetas(num_timesteps, std::sqrt(start), std::sqrt(end));
      std::ranges::transform(betas, betas.begin(), [](double root) { return root * root; });
      return betas;
    case BetaSchedule::kSigmoid:
      constexpr double kReach = 6;
      betas = LinearBetas(num_timesteps, -kReach, kReach);
      std::ranges::transform(betas, betas.begin(),
                             [&](double x) { return (end - start) / (1 + std::exp(-x)) + start; });
      return betas;
  }
  throw InvariantError("a beta schedule without betas");
}

}  // namespace

NoiseSchedule ReadDiscreteSchedule(JsonReader& json, const BetaDefaults& defaults) {
  const std::vector<std::pair<std::string, BetaSchedule>> known = {{"linear", BetaSchedule::kLinear},
                                                                   {"cosine", BetaSchedule::kCosine},
                                                                   {"quad", BetaSchedule::kQuad},
                                                                   {"const", BetaSchedule::kConst},
                                                                   {"sigmoid", BetaSchedule::kSigmoid}};
  const auto fallback = std::ranges::find(known, defaults.schedule, &std::pair<std::string, BetaSchedule>::first);
  const BetaSchedule schedule = json.GetChoice<BetaSchedule>("beta_schedule", known, fallback->second);
  const std::int64_t num_timesteps = json.GetCount("num_diffusion_timesteps", 1000, 2);
  const bool scaled = defaults.scale == BetaScale::kPerThousandSteps;
  const double scale = scaled ? 1000 / static_cast<double>(num_timesteps) : 1;
  const double start = json.GetPositive("beta_start", 1e-4), end = json.GetPositive("beta_end", 0.02);
  return NoiseSchedule::Discrete(MakeBetas(schedule, num_timesteps, start * scale, end * scale));
}

void CheckEpsilonChannels(std::int64_t in_channels, std::int64_t out_channels) {
  if (out_channels == in_channels || out_channels == 2 * in_channels) return;
  throw ConfigError(
      "network JSON: {} input and {} output channels; expected as many, or twice as many where variances are learned",
      in_channels, out_channels);
}

std::shared_ptr<Denoiser> MakeDdpmDenoiser(JsonReader& json) {
  DdpmUNetOptions options;
  json.Get<std::string>("model_type", "");
  options.image_size = json.RequireCount("image_size", 1);
  options.in_channels = json.GetCount("in_channels", options.in_channels, 1);
  options.out_ch = json.GetCount("out_ch", options.out_ch, 1);
  options.ch = json.RequireCount("ch", 4);
  json.Require<std::vector<std::int64_t>>("ch_mult");
  options.ch_mult = json.GetCounts("ch_mult", {}, 1);
  options.num_res_blocks = json.RequireCount("num_res_blocks", 1);
  options.attn_resolutions = json.GetCounts("attn_resolutions", options.attn_resolutions, 0);
  options.dropout = json.GetProbability("dropout", options.dropout);
  options.resamp_with_conv = json.Get("resamp_with_conv", options.resamp_with_conv);
  // Entries of the configuration that training uses and the network does not.
  json.GetChoice<int>("type", {{"simple", 0}}, 0);
  json.Get<std::string>("var_type", "");
  json.Get("ema_rate", 0.0);
  json.Get("ema", true);
  NoiseSchedule schedule = ReadDiscreteSchedule(json, {});
  const std::string prefix = ReadTensorPrefix(json, "");
  json.RefuseUnknownKeys();
  CheckEpsilonChannels(options.in_channels, options.out_ch);
  return std::make_shared<EpsilonDenoiser>(std::make_shared<DdpmUNet>(options), prefix, std::move(schedule),
                                           /*time_scale=*/1);
}

}  // namespace lcsc
