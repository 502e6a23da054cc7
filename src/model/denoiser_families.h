// The code bases whose networks the registry makes: each reads its own dialect of network JSON.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lcsc/model/bare_network.h"
#include "lcsc/model/json_reader.h"
#include "lcsc/model/precondition.h"

namespace lcsc {

std::shared_ptr<Denoiser> MakeEdmDenoiser(JsonReader& json);                // SongUNet, DhariwalUNet
std::shared_ptr<Denoiser> MakeAdmDenoiser(JsonReader& json);                // consistency_models
std::shared_ptr<Denoiser> MakeImprovedDiffusionDenoiser(JsonReader& json);  // improved-diffusion
std::shared_ptr<Denoiser> MakeDdpmDenoiser(JsonReader& json);               // ddim
std::shared_ptr<Denoiser> MakeScriptDenoiser(JsonReader& json);             // a user's TorchScript module

// "tensor_prefix": what the checkpoints have before the network's own tensor names, "" or a path with a dot at its end
// ("model.", or "module." as of torch's DataParallel).
std::string ReadTensorPrefix(JsonReader& json, const std::string& fallback);

// "timestep_type" or "c_noise": "edm" or "cm".
NoiseTime ReadNoiseTime(JsonReader& json, NoiseTime fallback);

// The discrete process that a network was trained on: beta_schedule, num_diffusion_timesteps, beta_start, beta_end.
enum class BetaScale {
  kAsGiven,          // ddim
  kPerThousandSteps  // improved-diffusion: linear betas are given for N = 1000 and scaled by 1000 / N
};
struct BetaDefaults {
  std::string schedule = "linear";
  BetaScale scale = BetaScale::kAsGiven;
};
NoiseSchedule ReadDiscreteSchedule(JsonReader& json, const BetaDefaults& defaults);

// Throws ConfigError unless a network for noise has as many output channels as input channels, or twice as many.
void CheckEpsilonChannels(std::int64_t in_channels, std::int64_t out_channels);

}  // namespace lcsc
