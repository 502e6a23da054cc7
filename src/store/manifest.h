// manifest.h5: what a trajectory consists of (docs/trajectory.md). Readers use ReadTrajectory() of trajectory.h.
#pragma once

#include "lcsc/store/trajectory.h"

namespace lcsc {

inline constexpr const char* kManifestName = "manifest.h5";
inline constexpr std::int64_t kTrajectoryVersion = 1;
inline constexpr std::int64_t kLoraTrajectoryVersion = 2;  // the first that may have LoRA factors
inline constexpr const char* kTrajectoryFormat = "lcsc trajectory";

// The version that the manifest is written as: the first whose readers understand it.
inline std::int64_t VersionOf(const Trajectory& trajectory) {
  return trajectory.lora ? kLoraTrajectoryVersion : kTrajectoryVersion;
}

// Publishes the manifest in trajectory.folder atomically: the moment at which its shard files begin to count.
void PublishManifest(const Trajectory& trajectory);

}  // namespace lcsc
