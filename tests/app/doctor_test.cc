// `lcsc doctor`: each trouble that it knows is made, where a test can make it, and found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/doctor_check.h"
#include "app/run_command.h"
#include "lcsc/base/cpu.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

struct Diagnosis {
  int exit_code = 0;
  Json checks;

  Json Of(const std::string& check) const {
    for (const Json& entry : checks) {
      if (entry["check"] == check) return entry;
    }
    ADD_FAILURE() << "no check " << check << " in " << checks;
    return {{"verdict", ""}, {"found", ""}, {"advice", ""}};
  }
  std::string VerdictOf(const std::string& check) const { return Of(check)["verdict"]; }
  std::string FoundOf(const std::string& check) const { return Of(check)["found"]; }
  std::string AdviceOf(const std::string& check) const { return Of(check)["advice"]; }
};

Diagnosis DiagnosisOf(const Arguments& command) {
  const CommandResult result = RunCommand(command);
  const Json json = Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  EXPECT_TRUE(json.is_object()) << result.out << result.err;
  return {result.exit_code, json.value("checks", Json::array())};
}

// `lcsc doctor --json` with these variables set.
Diagnosis Doctor(const Arguments& variables = {}, const Arguments& more = {}) {
  return DiagnosisOf(Arguments{"env"} + variables + Lcsc({"doctor", "--json"}) + more);
}

TEST(DoctorTest, AFolderThatIsWellStaysAsItWas) {
  const TempFolder folder;
  WriteBytes(folder / "population.h5", "not ours");
  const Diagnosis there = Doctor({}, {"--run", folder.path()});
  EXPECT_EQ(there.exit_code, 0) << there.checks;
  for (const char* check : {"run directory", "file locking", "HDF5"}) EXPECT_EQ(there.VerdictOf(check), "ok") << check;
  EXPECT_THAT(there.FoundOf("disk speed"), HasSubstr("MB/s"));
  EXPECT_EQ(ReadBytes(folder / "population.h5"), "not ours");
  const auto num_files = [&] { return std::distance(std::filesystem::directory_iterator(folder.path()), {}); };
  EXPECT_EQ(num_files(), 1);
  EXPECT_EQ(Doctor({}, {"--run", folder / "not/yet"}).exit_code, 0);
  EXPECT_EQ(num_files(), 1);
}

TEST(DoctorTest, SaysWhatToDoInWords) {
  const CommandResult result = RunCommand(Lcsc({"doctor", "--set", "run.threads=4096"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("what to do:"), HasSubstr("  threads: more threads than cores")));
}

TEST(DoctorTest, FindsTheReferenceBlas) {
  const std::string folder = "/usr/lib/x86_64-linux-gnu/blas";
  if (!std::filesystem::exists(folder + "/libblas.so.3")) GTEST_SKIP() << "Debian's package libblas3 is not installed";
  const Diagnosis slow = Doctor({"LD_LIBRARY_PATH=" + folder});
  EXPECT_EQ(slow.VerdictOf("BLAS"), "warn");
  EXPECT_THAT(slow.FoundOf("BLAS"), AllOf(HasSubstr("reference BLAS"), HasSubstr(folder)));
  EXPECT_THAT(slow.AdviceOf("BLAS"), HasSubstr("apt-get install libopenblas0-pthread"));
  EXPECT_THAT(Doctor().FoundOf("BLAS"), ::testing::Not(HasSubstr("reference BLAS")));
}

TEST(DoctorTest, FindsOversubscribedThreads) {
  const std::string more = std::to_string(AllowedCores().size() + 1);
  const Diagnosis variable = Doctor({"OMP_NUM_THREADS=" + more});
  EXPECT_EQ(variable.VerdictOf("OMP_NUM_THREADS"), "warn");
  EXPECT_EQ(variable.VerdictOf("threads"), "ok");
  const Diagnosis option = Doctor({"OMP_NUM_THREADS=1"}, {"--set", "run.threads=" + more});
  EXPECT_EQ(option.VerdictOf("threads"), "warn");
  EXPECT_EQ(option.VerdictOf("OMP_NUM_THREADS"), "ok");
}

TEST(DoctorTest, FindsOversubscribedRanks) {
  const Arguments each = {"doctor", "--json", "--set", "run.threads=" + std::to_string(AllowedCores().size())};
  EXPECT_EQ(DiagnosisOf(MpiLcsc(2, each)).VerdictOf("threads"), "ok");
  const Diagnosis crowded = DiagnosisOf(MpiLcsc(3, each));
  EXPECT_EQ(crowded.exit_code, 0);
  EXPECT_EQ(crowded.VerdictOf("threads"), "warn");
}

TEST(DoctorTest, FindsAReadOnlyRunDirectory) {
  const TempFolder folder;
  // Root is stopped by the mount alone.
  const Arguments mounted = {
      "unshare",    "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs -o ro none \"$0\" && exec \"$@\"",
      folder.path()};
  if (RunCommand(mounted + Arguments{"true"}).exit_code != 0) GTEST_SKIP() << "this system permits no mounts";
  for (const std::string run : {folder.path(), folder / "new"}) {
    const Diagnosis found = DiagnosisOf(mounted + Lcsc({"doctor", "--json", "--run", run}));
    EXPECT_EQ(found.exit_code, 4);
    EXPECT_EQ(found.VerdictOf("run directory"), "fail");
    EXPECT_THAT(found.FoundOf("run directory"), HasSubstr("Read-only file system"));
  }
}

TEST(DoctorTest, FindsRefusedFileLocking) {
  const TempFolder folder;
  const Diagnosis found = Doctor({"LD_PRELOAD=" LCSC_NO_FLOCK}, {"--run", folder.path()});
  EXPECT_EQ(found.exit_code, 0);
  EXPECT_EQ(found.VerdictOf("file locking"), "warn");
  EXPECT_THAT(found.FoundOf("file locking"), HasSubstr("No locks available"));
  EXPECT_THAT(found.AdviceOf("file locking"), HasSubstr("HDF5_USE_FILE_LOCKING=FALSE"));
  EXPECT_EQ(found.VerdictOf("HDF5"), "ok");
}

TEST(DoctorTest, FindsALauncherOfAnotherMpi) {
  const Diagnosis mpich = Doctor({"PMI_RANK=0", "PMI_SIZE=4"});
  EXPECT_EQ(mpich.exit_code, 4);
  EXPECT_EQ(mpich.VerdictOf("MPI"), "fail");
  EXPECT_THAT(mpich.FoundOf("MPI"), AllOf(HasSubstr("started 4 processes"), HasSubstr("counts 1")));
  EXPECT_EQ(Doctor({"SLURM_PROCID=0", "SLURM_STEP_NUM_TASKS=2"}).VerdictOf("MPI"), "fail");
  // Of the copies one speaks.
  const CommandResult other = RunCommand(Arguments{"env", "PMI_RANK=1", "PMI_SIZE=4"} + Lcsc({"doctor"}));
  EXPECT_EQ(other.exit_code, 4);
  EXPECT_THAT(other.out, IsEmpty());
  // Other commands only warn.
  const Arguments status = Lcsc({"status", "absent"});
  EXPECT_THAT(RunCommand(Arguments{"env", "PMI_RANK=0", "PMI_SIZE=4"} + status).err, HasSubstr("lcsc doctor"));
}

TEST(DoctorTest, FindsAnMpirunOfAnotherMpi) {
  const TempFolder folder;
  WriteBytes(folder / "mpirun", "#!/bin/sh\necho 'HYDRA build details:'\necho '    Version: 4.0.2'\n");
  std::filesystem::permissions(folder / "mpirun", std::filesystem::perms::owner_all);
  const Diagnosis found = Doctor({"PATH=" + folder.path().string() + ":" + std::getenv("PATH")});
  EXPECT_EQ(found.exit_code, 4);
  EXPECT_EQ(found.VerdictOf("mpirun"), "fail");
  EXPECT_EQ(Doctor().VerdictOf("mpirun"), "ok");
}

TEST(DoctorTest, RanksAreCheckedBesideEachOther) {
  const TempFolder folder;
  const Diagnosis found = DiagnosisOf(MpiLcsc(3, {"doctor", "--json", "--run", folder.path()}));
  EXPECT_EQ(found.exit_code, 0) << found.checks;
  EXPECT_THAT(found.FoundOf("MPI"), AllOf(HasSubstr("(3 ranks)"), HasSubstr("MPI_THREAD_MULTIPLE")));
  EXPECT_THAT(found.FoundOf("run directory seen"), HasSubstr("all 3 ranks"));
  EXPECT_THAT(found.FoundOf("clock"), HasSubstr("agree"));
}

// What one machine cannot have: judgements on made-up ranks.
std::vector<RankFacts> TwoHosts() {
  RankFacts master;
  master.host = "n1";
  master.program = "1 (aa)";
  master.cores = {0, 1};
  master.blas = "libopenblas.so";
  master.product_flops = 5e10;
  master.memory_available = master.memory_total = std::int64_t{8} << 30;
  master.open_files = master.processes = -1;
  master.clock_s = 1.8e9;
  RankFacts worker = master;
  worker.world_rank = worker.node = 1;
  worker.host = "n2";
  worker.threads = 2;
  worker.gpu_device = 0;
  worker.gpu_uuid = "ab";
  return {master, worker};
}

TEST(DoctorJudgementTest, FactsSurviveTheJourney) {
  const RankFacts facts = TwoHosts()[1];
  EXPECT_EQ(JsonOf(FactsOf(JsonOf(facts))), JsonOf(facts));
  EXPECT_EQ(FactsOf(JsonOf(facts)).cores, facts.cores);
}

TEST(DoctorJudgementTest, ClocksThatDiffer) {
  std::vector<RankFacts> ranks = TwoHosts();
  EXPECT_EQ(JudgeClock(ranks, {{0, 0}, {0.5, 0.1}}).verdict, Verdict::kOk);
  EXPECT_EQ(JudgeClock(ranks, {{0, 0}, {3, 2.5}}).verdict, Verdict::kOk);  // as far as can be told
  const Finding behind = JudgeClock(ranks, {{0, 0}, {-3600, 0.1}});
  EXPECT_EQ(behind.verdict, Verdict::kWarn);
  EXPECT_THAT(behind.found, HasSubstr("n2 is 3600.0 s behind that of n1"));
  ranks[0].clock_s = 1000;
  EXPECT_EQ(JudgeClock(ranks, {{0, 0}, {0, 0}}).verdict, Verdict::kFail);
}

TEST(DoctorJudgementTest, ProgramsThatDiffer) {
  std::vector<RankFacts> ranks = TwoHosts();
  EXPECT_EQ(JudgeProgram(ranks).verdict, Verdict::kOk);
  ranks[1].program = "1 (bb)";
  EXPECT_EQ(JudgeProgram(ranks).verdict, Verdict::kFail);
  EXPECT_THAT(JudgeProgram(ranks).found, HasSubstr("1 (bb) on n2"));
}

TEST(DoctorJudgementTest, CoresAndQuotasOfEachHost) {
  std::vector<RankFacts> ranks = TwoHosts();
  EXPECT_EQ(JudgeThreads(ranks).verdict, Verdict::kOk);
  ranks[1].cpu_quota = 1.5;
  EXPECT_EQ(JudgeThreads(ranks).verdict, Verdict::kWarn);
  EXPECT_THAT(JudgeThreads(ranks).found, HasSubstr("2 cores of n2 (a control group pays for 1.5)"));
  EXPECT_EQ(JudgeIdleRanks(ranks).verdict, Verdict::kOk);
  ranks[1].node = 0;  // both on one host now
  ranks[0].cores = ranks[1].cores = {0};
  EXPECT_EQ(JudgeIdleRanks(ranks).verdict, Verdict::kWarn);
  ranks[0].idle_ranks_yield = ranks[1].idle_ranks_yield = true;
  EXPECT_EQ(JudgeIdleRanks(ranks).verdict, Verdict::kOk);
}

TEST(DoctorJudgementTest, MemoryAndLimitsOfTheWorstHost) {
  std::vector<RankFacts> ranks = TwoHosts();
  EXPECT_EQ(JudgeMemory(ranks).verdict, Verdict::kOk);
  EXPECT_EQ(JudgeLimits(ranks).verdict, Verdict::kOk);
  ranks[1].memory_available = 100 << 20;
  EXPECT_THAT(JudgeMemory(ranks).found, HasSubstr("on n2"));
  EXPECT_EQ(JudgeMemory(ranks).verdict, Verdict::kWarn);
  ranks[1].open_files = 256;
  EXPECT_EQ(JudgeLimits(ranks).verdict, Verdict::kWarn);
  EXPECT_THAT(JudgeLimits(ranks).found, HasSubstr("open files 256, processes and threads no limit"));
}

TEST(DoctorJudgementTest, GpusAreOnePerWorkerAndPeers) {
  std::vector<RankFacts> ranks = TwoHosts();
  GpuFacts gpus;
  gpus.is_built = true;
  gpus.driver = gpus.runtime = 13000;
  gpus.nccl = 22803;
  EXPECT_EQ(JudgeGpus(ranks, gpus).verdict, Verdict::kWarn);
  gpus.gpus = {{"H200", std::int64_t{139} << 30}, {"H200", std::int64_t{139} << 30}};
  EXPECT_EQ(JudgeGpus(ranks, gpus).verdict, Verdict::kOk);
  EXPECT_THAT(JudgeGpus(ranks, gpus).found, AllOf(HasSubstr("2 x H200"), HasSubstr("CUDA 13.0"), HasSubstr("2.28.3")));
  gpus.strangers = {{0, 1}};
  EXPECT_THAT(JudgeGpus(ranks, gpus).advice, HasSubstr("nvidia-smi topo"));
  ranks.push_back(ranks[1]);
  ranks[2].world_rank = 2;
  EXPECT_THAT(JudgeGpus(ranks, gpus).found, HasSubstr("ranks 1 and 2 share one on n2"));
  ranks[2].gpu_device = -1;
  EXPECT_THAT(JudgeGpus(ranks, gpus).found, HasSubstr("rank 2 on n2 has none"));
}

TEST(DoctorJudgementTest, LaunchersAndLibrariesOfOneFamily) {
  const std::string library = "Open MPI v4.1.4";
  EXPECT_EQ(JudgeMpirun("", library).verdict, Verdict::kOk);
  EXPECT_EQ(JudgeMpirun("mpirun (Open MPI) 4.1.6\n\nReport bugs", library).verdict, Verdict::kOk);
  EXPECT_EQ(JudgeMpirun("mpirun (Open MPI) 5.0.3", library).verdict, Verdict::kWarn);
  EXPECT_EQ(JudgeMpirun("Intel(R) MPI Library for Linux* OS, Version 2021.9", library).verdict, Verdict::kFail);
  EXPECT_EQ(JudgeMpirun("Intel(R) MPI Library for Linux* OS, Version 2021.9", "MPICH Version: 3.4.3").verdict,
            Verdict::kWarn);
}

}  // namespace
}  // namespace lcsc
