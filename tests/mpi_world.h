// The ranks of a test that runs under mpirun.
#pragma once

#include "lcsc/comm/mpi_session.h"

namespace lcsc {

World& TestWorld();

}  // namespace lcsc
