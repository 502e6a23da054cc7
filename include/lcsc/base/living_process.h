// Whether the process that wrote its number down is still there: numbers are given again.
#pragma once

#include <cstdint>

namespace lcsc {

struct ProcessId {
  std::int64_t pid = 0;
  std::int64_t started = 0;  // clock ticks since the host's boot; 0: unknown
};

// `started` as /proc/PID/stat has it; 0 where there is no such file.
ProcessId IdentifyProcess(std::int64_t pid);
// On this host; other users' too. With an unknown start any process of that number will do.
bool IsAlive(const ProcessId& process);

}  // namespace lcsc
