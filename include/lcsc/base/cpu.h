// Which cores this process may use (Linux).
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

namespace lcsc {

// The cores of the affinity mask, ascending; never empty.
std::vector<int> AllowedCores();

// How many cores' worth of time the control groups above this process grant it; nullopt when they set no limit.
//   root: where /proc and /sys are, for tests.
std::optional<double> CpuQuota(const std::filesystem::path& root = "/");

// Cores that arithmetic can keep busy: those allowed, or as many as the quota pays for. At least 1.
int UsableCores();

}  // namespace lcsc
