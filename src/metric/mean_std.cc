#include "lcsc/metric/mean_std.h"

#include <cmath>

#include "lcsc/base/error.h"

namespace lcsc {

MeanStd MeanStdOf(std::span<const double> values) {
  LCSC_CHECK(!values.empty());
  const double count = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / count;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, std::sqrt(squares / count)};
}

}  // namespace lcsc
