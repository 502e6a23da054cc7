#include "lcsc/base/memory.h"

#include <malloc.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace lcsc {
namespace {

// The number behind `key` in a file of lines such as "VmRSS:  1234 kB", in bytes.
std::int64_t KilobytesOf(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string word; file >> word;) {
    std::int64_t kilobytes = 0;
    if (word == key && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

std::int64_t NumberIn(const char* path, std::int64_t otherwise) {
  std::ifstream file(path);
  std::int64_t number = 0;
  return file >> number ? number : otherwise;  // "max" is no number
}

}  // namespace

MemoryReading ReadMemory() {
  return {KilobytesOf("/proc/self/status", "VmRSS:"), KilobytesOf("/proc/self/status", "VmHWM:")};
}

void ResetPeakMemory() { std::ofstream("/proc/self/clear_refs") << "5"; }

void ReleaseFreedMemory() {
#if defined(__GLIBC__)
  ::malloc_trim(0);
#endif
}

std::int64_t AvailableMemory() {
  constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();
  const std::int64_t machine = KilobytesOf("/proc/meminfo", "MemAvailable:");
  const std::int64_t limit = NumberIn("/sys/fs/cgroup/memory.max", kUnlimited);
  if (limit == kUnlimited) return machine;
  return std::min(machine, std::max<std::int64_t>(0, limit - NumberIn("/sys/fs/cgroup/memory.current", 0)));
}

}  // namespace lcsc
