// manifest.h5: what a trajectory consists of (docs/trajectory.md). Readers use ReadTrajectory() of trajectory.h.
#pragma once

#include "lcsc/store/trajectory.h"

namespace lcsc {

inline constexpr const char* kManifestName = "manifest.h5";
inline constexpr std::int64_t kTrajectoryVersion = 1;
inline constexpr const char* kTrajectoryFormat = "lcsc trajectory";

// Publishes the manifest in trajectory.folder atomically: the moment at which its shard files begin to count.
void PublishManifest(const Trajectory& trajectory);

}  // namespace lcsc
