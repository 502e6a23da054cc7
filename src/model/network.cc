#include "lcsc/model/network.h"

namespace lcsc {

const NoiseSchedule& Denoiser::schedule() const {
  static const NoiseSchedule edm = NoiseSchedule::Edm();
  return edm;
}

}  // namespace lcsc
