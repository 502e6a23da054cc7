#include "lcsc/search/race.h"

#include <boost/math/distributions/students_t.hpp>
#include <charconv>
#include <cmath>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

constexpr std::string_view kLookPrefix = "score_of_first_";
constexpr std::size_t kFewestWitnesses = 5;

double BarOf(const std::vector<double>& differences, double target, double risk) {
  const auto n = static_cast<double>(differences.size());
  double mean = 0, squares = 0;
  for (const double e : differences) mean += e / n;
  for (const double e : differences) squares += (e - mean) * (e - mean);
  const double spread = std::sqrt(squares / (n - 1));
  const double t = boost::math::quantile(boost::math::complement(boost::math::students_t(n - 1), risk));
  return target - mean + t * spread * std::sqrt(1 + 1 / n);
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

std::map<std::int64_t, double> RaceBars(const std::vector<const EvaluatedCandidate*>& witnesses, double target,
                                        double risk) {
  std::map<std::int64_t, std::vector<double>> differences;
  for (const EvaluatedCandidate* witness : witnesses) {
    LCSC_CHECK(witness->outcome.score);
    for (const auto& [name, partial] : witness->outcome.metrics) {
      const std::int64_t num_samples = SamplesOfLook(name);
      if (num_samples > 0) differences[num_samples].push_back(*witness->outcome.score - partial);
    }
  }
  std::map<std::int64_t, double> bars;
  for (const auto& [num_samples, values] : differences) {
    if (values.size() < kFewestWitnesses) continue;
    bars[num_samples] = BarOf(values, target, risk / static_cast<double>(differences.size()));
  }
  return bars;
}

}  // namespace lcsc
