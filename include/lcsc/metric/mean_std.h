// A mean and the standard deviation around it (divided by the number of values).
#pragma once

namespace lcsc {

struct MeanStd {
  double mean = 0;
  double std = 0;
};

}  // namespace lcsc
