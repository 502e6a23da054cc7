// A mean and the standard deviation around it (divided by the number of values).
#pragma once

#include <span>

namespace lcsc {

struct MeanStd {
  double mean = 0;
  double std = 0;
};

// Two passes. REQUIRES: at least one value.
MeanStd MeanStdOf(std::span<const double> values);

}  // namespace lcsc
