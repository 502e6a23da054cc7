// How far the clocks of the ranks are apart.
#pragma once

#include <vector>

#include "lcsc/comm/mpi_session.h"

namespace lcsc {

struct ClockOffset {
  double seconds = 0;      // by which the rank's clock is ahead of rank 0's
  double uncertainty = 0;  // half of the quickest question's way there and back
};

// By world rank, on rank 0; empty elsewhere. Collective over all ranks. Throws CommError.
std::vector<ClockOffset> MeasureClockOffsets(const World& world);

}  // namespace lcsc
