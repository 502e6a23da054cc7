// Diffusion processes x_t = alpha_t x_0 + sigma_t e: what time means, in one form for all networks and samplers.
#pragma once

#include <cstdint>
#include <vector>

namespace lcsc {

// Notation of DPM-Solver (Lu et al. 2022, Sec. 2): lambda_t = log(alpha_t / sigma_t), decreasing in t. Samplers work on
// x_t / alpha_t, whose noise level is NoiseLevel(t) = sigma_t / alpha_t = exp(-lambda_t): EDM's sigma.
class NoiseSchedule {
 public:
  // EDM and consistency models: alpha = 1, sigma_t = t, t from sigma_min to sigma_max.
  static NoiseSchedule Edm(double sigma_min = 0.002, double sigma_max = 80);
  // Ho et al. 2020: N = betas.size() steps; t = n / N for step n = 1..N, log alpha_t = sum_{i<=n} log(1 - beta_i) / 2,
  // linear in between and beyond the ends, as DPM-Solver's discrete schedule. Throws ConfigError unless every beta is
  // in (0, 1).
  static NoiseSchedule Discrete(const std::vector<double>& betas);

  bool is_discrete() const { return !log_alphas_.empty(); }
  std::int64_t num_timesteps() const { return static_cast<std::int64_t>(log_alphas_.size()); }  // N; 0 for EDM's
  // The noisiest, where sampling begins: sigma_max, or n / N of the last step n with lambda >= -5.1, as DPM-Solver
  // clips its discrete schedules. That is 1 for Ho's linear betas, a little less for cosine ones. DDIM visits all N
  // steps.
  double first_time() const { return first_time_; }
  double last_time() const { return last_time_; }  // the cleanest, where it ends: 1 / N, or sigma_min

  double LogAlpha(double t) const;
  double Lambda(double t) const;
  double NoiseLevel(double t) const;
  // The inverses of Lambda and NoiseLevel.
  double TimeOfLambda(double lambda) const;
  double TimeOfNoiseLevel(double sigma) const;
  // The standard deviation of x_t / alpha_t at the first time, which initial noise is multiplied by: sigma_max for
  // EDM's process, 1 / alpha for the discrete one (whose x_t counts as standard normal there).
  double InitialScale() const;

 private:
  NoiseSchedule() = default;
  std::vector<double> log_alphas_;  // at t = 1/N, 2/N, ..., 1; ascending t
  double first_time_ = 0, last_time_ = 0;
};

// beta from `start` to `end` in equal steps (Ho et al. 2020).
std::vector<double> LinearBetas(std::int64_t num_timesteps, double start = 1e-4, double end = 0.02);
// Nichol & Dhariwal 2021, eq. 17: alpha_bar(t) = cos^2((t + 0.008) / 1.008 * pi / 2), betas at most 0.999.
std::vector<double> CosineBetas(std::int64_t num_timesteps);

}  // namespace lcsc
