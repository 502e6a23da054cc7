// Who started this process, and whether the MPI inside it was told: N copies of one rank each are what one gets when
// the launcher belongs to another MPI.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace lcsc {

struct Launcher {
  std::string name;  // "Open MPI's mpirun"
  int size = 1;      // processes that it started together
  int number = 0;    // of this one among them, from 0
};

using Environment = std::map<std::string, std::string>;
// This process's own.
Environment OwnEnvironment();

// By the variables that launchers set; nullopt when none of them started this process.
std::optional<Launcher> LauncherOf(const Environment& environment);

// What is wrong when a launcher started another number of processes than MPI counts ranks, or "".
std::string LauncherMismatch(const std::optional<Launcher>& launcher, int world_size);

// The MPI library's own words: "Open MPI v4.1.4".
std::string MpiLibraryVersion();

// The family whose launcher and library belong together, by the version text of either: "Open MPI", "MPICH" (which
// Intel MPI is one of), or "" for others.
std::string MpiFamily(const std::string& version_text);

}  // namespace lcsc
