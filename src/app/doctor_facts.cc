// What a rank knows of itself, on its way to rank 0.
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>

#include "app/doctor_check.h"
#include "lcsc/base/cpu.h"
#include "lcsc/base/digest.h"
#include "lcsc/base/memory.h"
#include "lcsc/base/process.h"
#include "lcsc/comm/group.h"
#include "lcsc/model/threads.h"
#include "lcsc/service/machine_bench.h"

namespace lcsc {
namespace {

constexpr double kProductSeconds = 0.15;
constexpr std::int64_t kProductSide = 768;  // 0.1 s with the slowest BLAS

std::int64_t LimitOf(__rlimit_resource resource) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return -1;
  return static_cast<std::int64_t>(limit.rlim_cur);
}

int NumberIn(const char* variable) {
  const char* text = std::getenv(variable);
  return text == nullptr ? 0 : std::max(0, std::atoi(text));
}

bool IsOn(const char* variable) {
  const char* text = std::getenv(variable);
  return text != nullptr && (std::string(text) == "1" || std::string(text) == "true");
}

std::string HexOf(const std::array<std::uint8_t, 16>& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

double MeasureOneThread() {
  SetArithmeticThreads(1);
  return MeasureProduct(kProductSeconds, kProductSide);
}

}  // namespace

RankFacts GatherFacts(const World& world, std::int64_t run_threads) {
  const bool is_master = world.world_size > 1 && world.world_rank == 0;
  RankFacts facts;
  facts.world_rank = world.world_rank;
  facts.node = world.node;
  facts.host = HostName();
  facts.program = fmt::format("{} ({:.8})", LCSC_VERSION, DigestOfFile("/proc/self/exe"));
  facts.cores = AllowedCores();
  facts.cpu_quota = CpuQuota().value_or(0);
  facts.threads = is_master ? 0 : ThreadsPerRank(world, run_threads);
  facts.omp_threads = NumberIn("OMP_NUM_THREADS");
  facts.idle_ranks_yield = IsOn("OMPI_MCA_mpi_yield_when_idle");
  facts.blas = BlasLibrary();
  if (world.node_local_rank == 0) facts.product_flops = MeasureOneThread();
  facts.memory_available = AvailableMemory();
  facts.memory_total = ::sysconf(_SC_PHYS_PAGES) * std::int64_t{::sysconf(_SC_PAGESIZE)};
  facts.open_files = LimitOf(RLIMIT_NOFILE);
  facts.processes = LimitOf(RLIMIT_NPROC);
  facts.clock_s = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  if (!is_master) {
    const RankGpu gpu = FindRankGpu(NodeLocalWorker(world));
    facts.gpu_device = gpu.device;
    facts.gpu_uuid = HexOf(gpu.uuid);
  }
  return facts;
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RankFacts, world_rank, node, host, program, cores, cpu_quota, threads, omp_threads,
                                   idle_ranks_yield, blas, product_flops, memory_available, memory_total, open_files,
                                   processes, clock_s, gpu_device, gpu_uuid)

nlohmann::json JsonOf(const RankFacts& facts) { return facts; }
RankFacts FactsOf(const nlohmann::json& json) { return json.get<RankFacts>(); }

}  // namespace lcsc
