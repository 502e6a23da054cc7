// Judgements on cores, BLAS, memory and limits.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <set>

#include "app/doctor_check.h"
#include "lcsc/base/progress.h"

namespace lcsc {
namespace {

constexpr double kGiga = 1e9;
// A thread of the reference BLAS does a few of them a second, one of a tuned BLAS some tens.
constexpr double kReferenceFlops = 20 * kGiga;

bool IsTuned(const std::string& library) {
  std::string name = library;
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const char* word :
       {"openblas", "mkl", "blis", "atlas", "flexiblas", "nvpl", "armpl", "libsci", "essl", "torch"}) {
    if (name.find(word) != std::string::npos) return true;
  }
  return false;
}

// The ranks of one machine together.
struct NodeLoad {
  std::string host;
  int ranks = 0, threads = 0;
  std::set<int> cores;
  double quota = 0;

  double usable() const {
    const auto allowed = static_cast<double>(cores.size());
    return std::max(1.0, quota > 0 ? std::min(quota, allowed) : allowed);
  }
};

std::vector<NodeLoad> LoadsOf(const std::vector<RankFacts>& ranks) {
  std::map<int, NodeLoad> loads;
  for (const RankFacts& rank : ranks) {
    NodeLoad& load = loads[rank.node];
    load.host = rank.host;
    ++load.ranks;
    load.threads += rank.threads;
    load.cores.insert(rank.cores.begin(), rank.cores.end());
    load.quota = std::max(load.quota, rank.cpu_quota);
  }
  std::vector<NodeLoad> list;
  for (auto& [node, load] : loads) list.push_back(std::move(load));
  return list;
}

std::string CoresText(const NodeLoad& load) {
  return fmt::format("{} core{} of {}{}", load.cores.size(), load.cores.size() == 1 ? "" : "s", load.host,
                     load.quota > 0 ? fmt::format(" (a control group pays for {:.4g})", load.quota) : "");
}

double LoadShare(const NodeLoad& load) { return load.threads / load.usable(); }

std::string LimitText(std::int64_t limit) { return limit < 0 ? "no limit" : fmt::format("{}", limit); }

bool IsBelow(std::int64_t limit, std::int64_t least) { return limit >= 0 && limit < least; }

}  // namespace

Finding JudgeBlas(const std::vector<RankFacts>& ranks) {
  const auto is_better = [](const RankFacts& a, const RankFacts& b) {
    return std::pair(IsTuned(a.blas), a.product_flops) > std::pair(IsTuned(b.blas), b.product_flops);
  };
  std::vector<RankFacts> measured;
  std::ranges::copy_if(ranks, std::back_inserter(measured), [](const RankFacts& r) { return r.product_flops > 0; });
  const RankFacts& worst = *std::ranges::max_element(measured, is_better);
  Finding finding{"BLAS", fmt::format("{} on {}: {:.1f} GFLOP/s a thread (float32 matrix product)", worst.blas,
                                      worst.host, worst.product_flops / kGiga)};
  if (worst.product_flops >= kReferenceFlops) return finding;
  finding.verdict = Verdict::kWarn;
  if (IsTuned(worst.blas)) {
    finding.advice =
        "the library is a quick one, so other work has the cores, or the processor is throttled; stop it, "
        "and see `lcsc bench`";
    return finding;
  }
  finding.found = fmt::format("the reference BLAS, {}", finding.found);
  finding.advice = fmt::format(
      "it takes several times as long as a tuned one: apt-get install libopenblas0-pthread (`update-alternatives "
      "--config libblas.so.3-x86_64-linux-gnu` chooses it), or put the folder of another libblas.so.3 into "
      "LD_LIBRARY_PATH in place of {}",
      std::filesystem::path(worst.blas).parent_path().string());
  return finding;
}

Finding JudgeThreads(const std::vector<RankFacts>& ranks) {
  const std::vector<NodeLoad> loads = LoadsOf(ranks);
  const NodeLoad& worst = *std::ranges::max_element(loads, {}, LoadShare);
  Finding finding{"threads", fmt::format("{} arithmetic threads of {} rank{} on {}", worst.threads, worst.ranks,
                                         worst.ranks == 1 ? "" : "s", CoresText(worst))};
  if (worst.threads <= worst.usable()) return finding;
  finding.verdict = Verdict::kWarn;
  finding.advice = fmt::format(
      "more threads than cores slow each other down: start fewer workers there, or set run.threads so that workers x "
      "threads is at most {:.0f}; when there are more cores than that, let ranks use them (mpirun --bind-to none, as "
      "launch/run does)",
      worst.usable());
  return finding;
}

Finding JudgeOmpThreads(const std::vector<RankFacts>& ranks) {
  const auto share = [](const RankFacts& rank) {
    return rank.omp_threads / static_cast<double>(std::max<std::size_t>(1, rank.cores.size()));
  };
  const RankFacts& worst = *std::ranges::max_element(ranks, {}, share);
  if (worst.omp_threads == 0) return {"OMP_NUM_THREADS", "not set"};
  Finding finding{"OMP_NUM_THREADS", fmt::format("{}, for a rank that may use {} core{} of {}", worst.omp_threads,
                                                 worst.cores.size(), worst.cores.size() == 1 ? "" : "s", worst.host)};
  if (share(worst) <= 1) return finding;
  finding.verdict = Verdict::kWarn;
  finding.advice = fmt::format(
      "a search counts its threads itself (run.threads), but lcsc train and what else obeys the variable start more "
      "threads than there are cores: unset it, or export OMP_NUM_THREADS={}",
      worst.cores.size());
  return finding;
}

Finding JudgeIdleRanks(const std::vector<RankFacts>& ranks) {
  const std::vector<NodeLoad> loads = LoadsOf(ranks);
  const auto crowded =
      std::ranges::find_if(loads, [](const NodeLoad& load) { return load.ranks > 1 && load.ranks > load.usable(); });
  const bool yields = std::ranges::all_of(ranks, &RankFacts::idle_ranks_yield);
  if (crowded == loads.end()) return {"idle ranks", "no more ranks than cores"};
  const std::string found = fmt::format("{} ranks on {}; idle ones {}", crowded->ranks, CoresText(*crowded),
                                        yields ? "yield" : "do not yield");
  if (yields) return {"idle ranks", found};
  return {"idle ranks", found, Verdict::kWarn,
          "export OMPI_MCA_mpi_yield_when_idle=1 (launch/run does): a waiting rank keeps the core from others"};
}

Finding JudgeMemory(const std::vector<RankFacts>& ranks) {
  const RankFacts& worst = *std::ranges::min_element(ranks, {}, &RankFacts::memory_available);
  const auto available = static_cast<double>(worst.memory_available), total = static_cast<double>(worst.memory_total);
  Finding finding{"memory",
                  fmt::format("{} of {} available on {}", FormatBytes(available), FormatBytes(total), worst.host)};
  if (available >= 0.1 * total && available >= double{1 << 30}) return finding;
  finding.verdict = Verdict::kWarn;
  finding.advice = "end what holds the memory, or ask for more (Slurm: --mem); `lcsc search` prints what it will hold";
  return finding;
}

Finding JudgeLimits(const std::vector<RankFacts>& ranks) {
  constexpr std::int64_t kFiles = 1024, kProcesses = 2048;
  // -1, no limit, becomes the largest.
  const auto most = [](std::int64_t limit) { return static_cast<std::uint64_t>(limit); };
  const std::int64_t files = std::ranges::min(ranks, {}, [&](const auto& r) { return most(r.open_files); }).open_files;
  const std::int64_t processes =
      std::ranges::min(ranks, {}, [&](const auto& r) { return most(r.processes); }).processes;
  Finding finding{"limits",
                  fmt::format("open files {}, processes and threads {}", LimitText(files), LimitText(processes))};
  if (!IsBelow(files, kFiles) && !IsBelow(processes, kProcesses)) return finding;
  finding.verdict = Verdict::kWarn;
  finding.advice = fmt::format("raise them where the job starts: ulimit -n {}; ulimit -u {}", kFiles, kProcesses);
  return finding;
}

}  // namespace lcsc
