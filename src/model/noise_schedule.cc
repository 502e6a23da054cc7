#include "lcsc/model/noise_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

// log(1 + exp(x)) without overflow.
double Softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

// Where the solvers begin at the earliest: what DPM-Solver's discrete schedules clip lambda at. A cosine schedule ends
// at a lambda near -11 (Nichol & Dhariwal's last betas are 0.999), which is pure noise to the network, and steps that
// span it are lost to the image; linear schedules of 1000 steps end above, at -5.06.
constexpr double kLowestLambda = -5.1;

// -lambda of a variance-preserving process: log(sigma / alpha) with sigma^2 = 1 - alpha^2.
double LogNoiseLevel(double log_alpha) { return 0.5 * std::log(-std::expm1(2 * log_alpha)) - log_alpha; }

}  // namespace

NoiseSchedule NoiseSchedule::Edm(double sigma_min, double sigma_max) {
  NoiseSchedule schedule;
  schedule.first_time_ = sigma_max;
  schedule.last_time_ = sigma_min;
  return schedule;
}

NoiseSchedule NoiseSchedule::Discrete(const std::vector<double>& betas) {
  if (betas.size() < 2) throw ConfigError("a discrete noise schedule needs at least 2 betas, found {}", betas.size());
  NoiseSchedule schedule;
  double log_alpha = 0;
  for (const double beta : betas) {
    if (!(beta > 0 && beta < 1)) throw ConfigError("a discrete noise schedule: beta {}; expected it in (0, 1)", beta);
    log_alpha += 0.5 * std::log1p(-beta);
    schedule.log_alphas_.push_back(log_alpha);
  }
  const auto steps = static_cast<double>(betas.size());
  std::size_t first = betas.size();
  while (first > 2 && -LogNoiseLevel(schedule.log_alphas_[first - 1]) < kLowestLambda) --first;
  schedule.first_time_ = static_cast<double>(first) / steps;
  schedule.last_time_ = 1 / steps;
  return schedule;
}

double NoiseSchedule::LogAlpha(double t) const {
  if (!is_discrete()) return 0;
  // Between neighbours n / N and (n + 1) / N; the outermost pairs serve for what lies beyond.
  const double position = t * static_cast<double>(log_alphas_.size()) - 1;
  const double left = std::clamp(std::floor(position), 0.0, static_cast<double>(log_alphas_.size() - 2));
  const auto index = static_cast<std::size_t>(left);
  return log_alphas_[index] + (position - left) * (log_alphas_[index + 1] - log_alphas_[index]);
}

double NoiseSchedule::Lambda(double t) const { return is_discrete() ? -LogNoiseLevel(LogAlpha(t)) : -std::log(t); }

double NoiseSchedule::NoiseLevel(double t) const { return is_discrete() ? std::exp(-Lambda(t)) : t; }

double NoiseSchedule::TimeOfLambda(double lambda) const {
  if (!is_discrete()) return std::exp(-lambda);
  const double log_alpha = -0.5 * Softplus(-2 * lambda);
  const auto below = std::ranges::lower_bound(log_alphas_, log_alpha, std::ranges::greater());
  const auto index = std::clamp<std::ptrdiff_t>(below - log_alphas_.begin() - 1, 0,
                                                static_cast<std::ptrdiff_t>(log_alphas_.size()) - 2);
  const double left = log_alphas_[static_cast<std::size_t>(index)];
  const double right = log_alphas_[static_cast<std::size_t>(index) + 1];
  const double position = static_cast<double>(index) + (log_alpha - left) / (right - left);
  return (position + 1) / static_cast<double>(log_alphas_.size());
}

double NoiseSchedule::TimeOfNoiseLevel(double sigma) const {
  return is_discrete() ? TimeOfLambda(-std::log(sigma)) : sigma;
}

double NoiseSchedule::InitialScale() const { return is_discrete() ? std::exp(-LogAlpha(first_time_)) : first_time_; }

std::vector<double> LinearBetas(std::int64_t num_timesteps, double start, double end) {
  std::vector<double> betas;
  for (std::int64_t i = 0; i < num_timesteps; ++i) {
    const double fraction = num_timesteps == 1 ? 0 : static_cast<double>(i) / static_cast<double>(num_timesteps - 1);
    betas.push_back(start + fraction * (end - start));
  }
  return betas;
}

std::vector<double> CosineBetas(std::int64_t num_timesteps) {
  const auto alpha_bar = [](double t) {
    const double root = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
    return root * root;
  };
  std::vector<double> betas;
  const auto steps = static_cast<double>(num_timesteps);
  for (std::int64_t i = 0; i < num_timesteps; ++i) {
    const auto t = static_cast<double>(i);
    betas.push_back(std::min(1 - alpha_bar((t + 1) / steps) / alpha_bar(t / steps), 0.999));
  }
  return betas;
}

}  // namespace lcsc
