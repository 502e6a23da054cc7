// Runs the program under test as a user would.
#pragma once

#include <cstdlib>
#include <string>

#include "support/run_program.h"

namespace lcsc {

// The command lines of the program under test: alone, and as `ranks` ranks.
inline Arguments Lcsc(const Arguments& arguments) { return Arguments{LCSC_BINARY} + arguments; }

inline Arguments MpiLcsc(int ranks, const Arguments& arguments) {
  for (const char* variable : {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM",
                               "OMPI_MCA_mpi_yield_when_idle", "OMP_NUM_THREADS"}) {
    ::setenv(variable, "1", /*overwrite=*/1);
  }
  return Arguments{LCSC_MPIEXEC, "-n", std::to_string(ranks), "--oversubscribe", "--bind-to", "none"} + Lcsc(arguments);
}

}  // namespace lcsc
