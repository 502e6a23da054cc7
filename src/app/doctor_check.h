// What `lcsc doctor` found: its findings, and the facts that each rank tells.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "lcsc/comm/clock_offset.h"
#include "lcsc/comm/collective_choice.h"
#include "lcsc/comm/gpu_facts.h"
#include "lcsc/comm/launcher.h"
#include "lcsc/comm/mpi_session.h"
#include "lcsc/config/run_options.h"

namespace lcsc {

// kWarn: a search works, but slower or less safely than it could. kFail: it fails, or does not do what was meant.
enum class Verdict { kOk, kWarn, kFail };
const char* NameOf(Verdict verdict);

struct Finding {
  std::string check;
  std::string found;
  Verdict verdict = Verdict::kOk;
  std::string advice = {};  // what to do; empty when ok
};

Verdict WorstOf(const std::vector<Finding>& findings);
// The table, and below it what to do.
std::string TextOf(const std::vector<Finding>& findings);
nlohmann::json JsonOf(const std::vector<Finding>& findings);

// What a rank knows of itself and of its machine.
struct RankFacts {
  int world_rank = 0;
  int node = 0;  // the lowest world rank on its node
  std::string host;
  std::string program;  // version and digest of the executable
  // Of the CPU.
  std::vector<int> cores;  // that it may use
  double cpu_quota = 0;    // cores that its control group pays for; 0: no limit
  int threads = 0;         // that a search would use for arithmetic; none on a master
  int omp_threads = 0;     // OMP_NUM_THREADS; 0: not set
  bool idle_ranks_yield = false;
  std::string blas;          // the library's file
  double product_flops = 0;  // float32 matrix product of one thread, per second; 0: another rank of the node measured
  // Of the machine.
  std::int64_t memory_available = 0, memory_total = 0;
  std::int64_t open_files = 0, processes = 0;  // limits; -1: none
  double clock_s = 0;                          // since 1970
  // Of its GPU.
  int gpu_device = -1;
  std::string gpu_uuid;
};

// Measures for a moment. run_threads: run.threads.
RankFacts GatherFacts(const World& world, std::int64_t run_threads);
nlohmann::json JsonOf(const RankFacts& facts);
RankFacts FactsOf(const nlohmann::json& json);

// Judgements on the facts of all ranks, by world rank.
Finding JudgeBlas(const std::vector<RankFacts>& ranks);
Finding JudgeThreads(const std::vector<RankFacts>& ranks);
Finding JudgeOmpThreads(const std::vector<RankFacts>& ranks);
Finding JudgeIdleRanks(const std::vector<RankFacts>& ranks);
Finding JudgeMemory(const std::vector<RankFacts>& ranks);
Finding JudgeLimits(const std::vector<RankFacts>& ranks);
Finding JudgeProgram(const std::vector<RankFacts>& ranks);
Finding JudgeClock(const std::vector<RankFacts>& ranks, const std::vector<ClockOffset>& offsets);
Finding JudgeGpus(const std::vector<RankFacts>& ranks, const GpuFacts& gpus);

// launched: a launcher's variables; world: what MPI says.
Finding JudgeMpi(const World& world, const std::optional<Launcher>& launcher, const std::vector<RankFacts>& ranks);
// Whether the mpirun that a shell would find belongs to the library; version_text: what it prints, "" without one.
Finding JudgeMpirun(const std::string& version_text, const std::string& library);
// Asks the mpirun on the PATH for its version.
std::string MpirunVersion();

// Tries in the folder all that a search does in its run directory, and leaves it as it was.
std::vector<Finding> CheckRunDirectory(const std::filesystem::path& folder);
// Whether every rank sees a file that rank 0 makes there. Collective; the finding is rank 0's.
Finding CheckSeenByAll(const World& world, const std::filesystem::path& folder);

}  // namespace lcsc
