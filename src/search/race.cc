#include "lcsc/search/race.h"

#include <algorithm>
#include <array>
#include <boost/math/distributions/students_t.hpp>
#include <charconv>
#include <cmath>
#include <set>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

constexpr std::string_view kLookPrefix = "score_of_first_";
constexpr std::size_t kFewestWitnesses = 5;

// Least squares over the witnesses that have a look: x its score, y the score of all samples.
class Line {
 public:
  Line(const Witnesses& witnesses, std::int64_t num_samples) {
    std::vector<std::array<double, 2>> points;
    for (const EvaluatedCandidate* witness : witnesses) {
      LCSC_CHECK(witness->outcome.score);
      const auto look = witness->outcome.metrics.find(LookName(num_samples));
      if (look != witness->outcome.metrics.end()) points.push_back({look->second, *witness->outcome.score});
    }
    n_ = static_cast<double>(points.size());
    for (const auto& [x, y] : points) {
      mean_x_ += x / n_;
      mean_y_ += y / n_;
    }
    double s_xy = 0, s_yy = 0;
    for (const auto& [x, y] : points) {
      s_xx_ += (x - mean_x_) * (x - mean_x_);
      s_xy += (x - mean_x_) * (y - mean_y_);
      s_yy += (y - mean_y_) * (y - mean_y_);
    }
    if (points.size() < kFewestWitnesses || s_xx_ == 0) return;
    slope_ = s_xy / s_xx_;
    deviation_ = std::sqrt(std::max(0.0, s_yy - slope_ * s_xy) / (n_ - 2));
  }

  bool is_fitted() const { return slope_ > 0; }
  double At(double x) const { return mean_y_ + slope_ * (x - mean_x_); }

  // Where the lower end of the prediction interval crosses the target; nullopt where it does not rise for ever. With
  // d = x - mean_x the interval's end is on the target where (y(x) - target)^2 = k (1 + 1 / n + d^2 / S_xx), k = t^2
  // s^2: of the two solutions the one with y(x) above the target.
  std::optional<double> Bar(double target, double risk) const {
    if (!is_fitted()) return std::nullopt;
    const double t = boost::math::quantile(boost::math::complement(boost::math::students_t(n_ - 2), risk));
    const double k = t * t * deviation_ * deviation_, above = mean_y_ - target;
    const double steepness = slope_ * slope_ - k / s_xx_;
    if (!(steepness > 0)) return std::nullopt;
    const double root = std::sqrt(k * (steepness * (1 + 1 / n_) + above * above / s_xx_));
    const double bar = mean_x_ + (root - above * slope_) / steepness;
    return std::isfinite(bar) ? std::optional(bar) : std::nullopt;
  }

 private:
  double n_ = 0, mean_x_ = 0, mean_y_ = 0, s_xx_ = 0;
  double slope_ = 0;  // not above 0: the look says nothing
  double deviation_ = 0;
};

std::set<std::int64_t> LooksOf(const Witnesses& witnesses) {
  std::set<std::int64_t> looks;
  for (const EvaluatedCandidate* witness : witnesses) {
    for (const auto& [name, value] : witness->outcome.metrics) {
      if (SamplesOfLook(name) > 0) looks.insert(SamplesOfLook(name));
    }
  }
  return looks;
}

}  // namespace

std::string LookName(std::int64_t num_samples) { return fmt::format("{}{}", kLookPrefix, num_samples); }

std::int64_t SamplesOfLook(const std::string& metric) {
  if (!metric.starts_with(kLookPrefix)) return 0;
  std::int64_t num_samples = 0;
  std::from_chars(metric.data() + kLookPrefix.size(), metric.data() + metric.size(), num_samples);
  return num_samples;
}

bool IsStopped(const Outcome& outcome) { return !outcome.score && outcome.failure.empty(); }

std::int64_t SamplesDrawn(const Outcome& outcome, std::int64_t num_samples) {
  if (!IsStopped(outcome)) return num_samples;
  std::int64_t drawn = 0;
  for (const auto& [name, value] : outcome.metrics) drawn = std::max(drawn, SamplesOfLook(name));
  return drawn;
}

std::map<std::int64_t, double> RaceBars(const Witnesses& witnesses, double target, double risk) {
  const std::set<std::int64_t> looks = LooksOf(witnesses);
  std::map<std::int64_t, double> bars;
  for (const std::int64_t look : looks) {
    const auto bar = Line(witnesses, look).Bar(target, risk / static_cast<double>(looks.size()));
    if (bar) bars[look] = *bar;
  }
  return bars;
}

std::optional<double> EstimatedScore(const Outcome& stopped, const Witnesses& witnesses) {
  const std::int64_t look = SamplesDrawn(stopped, 0);
  if (look == 0 || !LooksOf(witnesses).contains(look)) return std::nullopt;
  const Line line(witnesses, look);
  if (!line.is_fitted()) return std::nullopt;
  return line.At(stopped.metrics.at(LookName(look)));
}

}  // namespace lcsc
