#include "lcsc/base/living_process.h"

#include <spdlog/fmt/fmt.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>
#include <string>

namespace lcsc {

ProcessId IdentifyProcess(std::int64_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  const std::string stat{std::istreambuf_iterator<char>(file), {}};
  // Field 2 is the program's name in brackets, whatever is in it; the start is field 22.
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return {.pid = pid};
  std::istringstream fields(stat.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 22; ++field) fields >> skipped;
  ProcessId process{.pid = pid};
  fields >> process.started;
  return process;
}

bool IsAlive(const ProcessId& process) {
  if (process.pid < 1 || process.pid > std::numeric_limits<pid_t>::max()) return false;
  if (::kill(static_cast<pid_t>(process.pid), 0) != 0 && errno != EPERM) return false;
  const std::int64_t started = IdentifyProcess(process.pid).started;
  return process.started == 0 || started == 0 || started == process.started;
}

}  // namespace lcsc
