// Judgements on MPI, the ranks beside each other, their clocks and their GPUs.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <map>
#include <memory>
#include <regex>

#include "app/doctor_check.h"
#include "lcsc/base/progress.h"
#include "lcsc/comm/gather.h"

namespace lcsc {
namespace {

// "n1 (3 ranks), n2 (2 ranks)", cut off when there are many.
std::string HostsText(const std::vector<RankFacts>& ranks) {
  constexpr std::size_t kMost = 4;
  std::map<std::string, int> counts;
  for (const RankFacts& rank : ranks) ++counts[rank.host];
  std::string text;
  std::size_t named = 0;
  for (const auto& [host, count] : counts) {
    if (named++ == kMost) return text + fmt::format(" and {} more hosts", counts.size() - kMost);
    text += fmt::format("{}{} ({} rank{})", text.empty() ? "" : ", ", host, count, count == 1 ? "" : "s");
  }
  return text;
}

constexpr const char* kRightLauncher =
    "start with the mpirun of that MPI, which launch/run takes from the PATH, or with srun --mpi=pmix; otherwise every "
    "process is a search of its own";

int MajorVersionIn(const std::string& text) {
  std::smatch match;
  return std::regex_search(text, match, std::regex("([0-9]+)\\.[0-9]")) ? std::stoi(match[1].str().substr(0, 6)) : 0;
}

std::string CudaVersion(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

// NCCL counts 2.8.4 as 2804 and 2.28.3 as 22803.
std::string NcclVersion(int version) {
  const int scale = version < 10000 ? 1000 : 10000;
  return fmt::format("{}.{}.{}", version / scale, version % scale / 100, version % 100);
}

bool MachineHasGpus() {
  std::error_code error;
  const std::filesystem::directory_iterator gpus("/proc/driver/nvidia/gpus", error);
  return !error && gpus != std::filesystem::directory_iterator();
}

Finding JudgeWithoutCuda() {
  if (!MachineHasGpus()) return {"GPUs", "none found; this lcsc is built without CUDA"};
  return {"GPUs", "this machine has some, but this lcsc is built without CUDA", Verdict::kWarn,
          "build the preset cuda (docs/gpu.md), or go on with the CPU"};
}

std::string GpusText(const GpuFacts& facts) {
  std::map<std::string, int> names;
  for (const GpuFacts::Gpu& gpu : facts.gpus) {
    ++names[fmt::format("{} ({})", gpu.name, FormatBytes(static_cast<double>(gpu.memory_bytes)))];
  }
  std::string text;
  for (const auto& [name, count] : names) text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", count, name);
  return fmt::format("{}; CUDA {}, driver for {}, NCCL {}", text.empty() ? "none" : text, CudaVersion(facts.runtime),
                     CudaVersion(facts.driver), NcclVersion(facts.nccl));
}

// Two workers of one GPU, or one without; "" when each has its own.
std::string SharingText(const std::vector<RankFacts>& ranks) {
  std::map<std::string, int> owner;
  for (const RankFacts& rank : ranks) {
    if (rank.threads == 0) continue;  // the master
    if (rank.gpu_device < 0) return fmt::format("rank {} on {} has none", rank.world_rank, rank.host);
    const auto [entry, is_new] = owner.emplace(rank.host + rank.gpu_uuid, rank.world_rank);
    if (!is_new) return fmt::format("ranks {} and {} share one on {}", entry->second, rank.world_rank, rank.host);
  }
  return "";
}

}  // namespace

Finding JudgeMpi(const World& world, const std::optional<Launcher>& launcher, const std::vector<RankFacts>& ranks) {
  const std::string library = MpiLibraryVersion();
  if (const std::string mismatch = LauncherMismatch(launcher, world.world_size); !mismatch.empty()) {
    return {"MPI", mismatch, Verdict::kFail, kRightLauncher};
  }
  if (!LaunchedByMpi()) return {"MPI", fmt::format("{}; not started by a launcher: one rank", library)};
  Finding finding{"MPI", fmt::format("{}: {}; {}", library, HostsText(ranks),
                                     world.threads_may_communicate ? "MPI_THREAD_MULTIPLE" : "one thread at a time")};
  if (world.threads_may_communicate) return finding;
  finding.verdict = Verdict::kWarn;
  finding.advice = "take an MPI with MPI_THREAD_MULTIPLE: without it, stages of a search do not overlap";
  return finding;
}

std::string MpirunVersion() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(
      ::popen("timeout 10 mpirun --version 2>/dev/null </dev/null", "r"), ::pclose);
  if (!pipe) return "";
  std::array<char, 4096> text{};
  return {text.data(), std::fread(text.data(), 1, text.size(), pipe.get())};
}

Finding JudgeMpirun(const std::string& version_text, const std::string& library) {
  if (version_text.empty()) return {"mpirun", "none on the PATH; srun --mpi=pmix may serve"};
  const std::string first_line = version_text.substr(0, version_text.find('\n'));
  const std::string family = MpiFamily(version_text), own = MpiFamily(library);
  if (family.empty() || own.empty()) return {"mpirun", first_line};
  Finding finding{"mpirun", fmt::format("{}; lcsc uses {}", first_line, library)};
  if (family != own) {
    finding.verdict = Verdict::kFail;
    finding.advice = fmt::format("the PATH leads to the mpirun of another MPI ({}): {}", family, kRightLauncher);
  } else if (MajorVersionIn(version_text) != MajorVersionIn(library)) {
    finding.verdict = Verdict::kWarn;
    finding.advice =
        "launcher and library differ in their first number: put the library's own mpirun first on the PATH";
  }
  return finding;
}

Finding JudgeProgram(const std::vector<RankFacts>& ranks) {
  const RankFacts& first = ranks.front();
  const auto other = std::ranges::find_if(ranks, [&](const RankFacts& r) { return r.program != first.program; });
  if (other == ranks.end()) return {"program", "lcsc " + first.program};
  return {"program",
          fmt::format("lcsc {} on {}, lcsc {} on {}", first.program, first.host, other->program, other->host),
          Verdict::kFail, "install the same lcsc on all hosts, or on a file system that they share"};
}

Finding JudgeClock(const std::vector<RankFacts>& ranks, const std::vector<ClockOffset>& offsets) {
  constexpr double kEarliest = 1735689600;  // 2025-01-01, before this program was written
  constexpr double kMostSeconds = 1;
  const auto surely = [](const ClockOffset& o) { return std::max(0.0, std::abs(o.seconds) - o.uncertainty); };
  const auto worst = std::ranges::max_element(offsets, {}, surely);
  const RankFacts& there = ranks[static_cast<std::size_t>(worst - offsets.begin())];
  if (ranks.front().clock_s < kEarliest) {
    return {"clock",
            fmt::format("{:.0f} s after 1970 on {}, which is in the past", ranks.front().clock_s, ranks.front().host),
            Verdict::kFail, "set it: timedatectl set-ntp true, or chronyd"};
  }
  if (ranks.size() == 1) return {"clock", "plausible"};
  if (surely(*worst) <= kMostSeconds) {
    return {"clock", fmt::format("ranks agree within {:.3f} s", std::abs(worst->seconds) + worst->uncertainty)};
  }
  return {"clock",
          fmt::format("that of {} is {:.1f} s {} that of {}", there.host, std::abs(worst->seconds),
                      worst->seconds > 0 ? "ahead of" : "behind", ranks.front().host),
          Verdict::kWarn, "let one time server set both (timedatectl set-ntp true, or chronyd)"};
}

Finding JudgeGpus(const std::vector<RankFacts>& ranks, const GpuFacts& gpus) {
  if (!gpus.is_built) return JudgeWithoutCuda();
  Finding finding{"GPUs", GpusText(gpus)};
  if (gpus.gpus.empty()) {
    finding.found += gpus.error.empty() ? "" : "; " + gpus.error;
    finding.verdict = Verdict::kWarn;
    finding.advice = "nvidia-smi says whether the driver works and CUDA_VISIBLE_DEVICES hides none; the CPU serves too";
  } else if (const std::string sharing = SharingText(ranks); !sharing.empty() && ranks.size() > 1) {
    finding.found += "; " + sharing;
    finding.verdict = Verdict::kWarn;
    finding.advice = "start one worker per GPU: launch/run does";
  } else if (!gpus.strangers.empty()) {
    const auto& [a, b] = gpus.strangers.front();
    finding.found += fmt::format("; {} pairs without peer access, {} and {} the first", gpus.strangers.size(), a, b);
    finding.verdict = Verdict::kWarn;
    finding.advice = "NCCL goes through host memory between them: `nvidia-smi topo -m` shows how they are wired";
  }
  return finding;
}

}  // namespace lcsc
