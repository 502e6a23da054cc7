// The trajectory that a run searched.
#pragma once

#include <string>

#include "lcsc/state/run_directory.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {

// The key of a run's identity that holds its trajectory's digest.
inline constexpr const char* kTrajectoryDigestKey = "digest of evaluation.trajectory";

// Throws InputError, in which `run` names the run directory, when the snapshot is that of a search in another
// trajectory.
void CheckSearchedTrajectory(const PopulationSnapshot& snapshot, const Trajectory& trajectory, const std::string& run);

}  // namespace lcsc
