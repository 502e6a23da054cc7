#include "app/searched_trajectory.h"

#include "lcsc/base/error.h"

namespace lcsc {

void CheckSearchedTrajectory(const PopulationSnapshot& snapshot, const Trajectory& trajectory, const std::string& run) {
  const auto searched = snapshot.identity.find(kTrajectoryDigestKey);
  const std::string found = trajectory.Digest();
  if (searched == snapshot.identity.end() || searched->second == found) return;
  throw InputError("{}: expected the trajectory of digest {} that the run searched, found {} of digest {}", run,
                   searched->second, trajectory.folder.string(), found);
}

}  // namespace lcsc
