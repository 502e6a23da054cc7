// How much memory this process has and may have (Linux).
#pragma once

#include <cstdint>

namespace lcsc {

struct MemoryReading {
  std::int64_t resident_bytes = 0;  // now
  std::int64_t peak_bytes = 0;      // the most since the start, or since ResetPeakMemory
};
// Zeros where /proc does not tell.
MemoryReading ReadMemory();
// Starts a new peak, where the kernel lets us.
void ResetPeakMemory();
// Gives back to the system what was freed and is kept for later.
void ReleaseFreedMemory();
// What all processes of this machine (or of this control group, when it is limited) can still take without swapping; 0
// where it is not known.
std::int64_t AvailableMemory();

}  // namespace lcsc
