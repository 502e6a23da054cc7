#include "lcsc/base/cpu.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

namespace lcsc {
namespace fs = std::filesystem;

namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

// A control group's own limit. Version 2: "max 100000" or "150000 100000"; version 1: two files, -1 for none.
double LimitOf(const fs::path& group) {
  double quota = 0, period = 0;
  if (std::ifstream file(group / "cpu.max"); file >> quota >> period && period > 0) return quota / period;
  std::ifstream quota_file(group / "cpu.cfs_quota_us"), period_file(group / "cpu.cfs_period_us");
  if (quota_file >> quota && period_file >> period && quota > 0 && period > 0) return quota / period;
  return kUnlimited;
}

// The tightest limit of the group and of those that it lies in.
double TightestLimit(const fs::path& mount, fs::path group) {
  double limit = kUnlimited;
  for (group = group.relative_path(); !group.empty(); group = group.parent_path()) {
    limit = std::min(limit, LimitOf(mount / group));
  }
  return std::min(limit, LimitOf(mount));
}

// Whether a comma-separated list of controllers has that of the CPU; version 2 has an empty list.
bool GovernsCpu(const std::string& controllers) {
  std::istringstream list(controllers);
  for (std::string controller; std::getline(list, controller, ',');) {
    if (controller == "cpu") return true;
  }
  return controllers.empty();
}

}  // namespace

std::vector<int> AllowedCores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return {0};
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &allowed)) cores.push_back(core);
  }
  return cores;
}

std::optional<double> CpuQuota(const fs::path& root) {
  double limit = kUnlimited;
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "4:cpu,cpuacct:/slurm/job_1", or "0::/slurm/job_1"
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    if (!GovernsCpu(controllers)) continue;
    const fs::path mounts = root / "sys/fs/cgroup";
    const fs::path mount = controllers.empty() ? mounts : mounts / controllers;
    limit = std::min(limit, TightestLimit(fs::exists(mount) ? mount : mounts / "cpu", group));
  }
  return limit < kUnlimited ? std::optional<double>(limit) : std::nullopt;
}

int UsableCores() {
  const int allowed = static_cast<int>(AllowedCores().size());
  const std::optional<double> quota = CpuQuota();
  return quota && *quota < allowed ? std::max(1, static_cast<int>(std::ceil(*quota))) : allowed;
}

}  // namespace lcsc
