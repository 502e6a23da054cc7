#include "lcsc/comm/mpi_session.h"

#include <sched.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "lcsc/base/process.h"

namespace lcsc {
namespace {

bool Initialised() {
  int initialised = 0, finalised = 0;
  MPI_Initialized(&initialised);
  MPI_Finalized(&finalised);
  return initialised != 0 && finalised == 0;
}

// What a rank says after its set-up: nothing, or the error it met.
struct SetUpResult {
  std::string message;
  int exit_code = 0;
};

SetUpResult RunSetUp(const std::function<void()>& set_up) {
  try {
    set_up();
    return {};
  } catch (const Error& error) {
    return {error.what(), static_cast<int>(error.exit_code())};
  } catch (const std::exception& error) {
    return {FirstLine(error), static_cast<int>(ExitCode::kFailed)};
  }
}

}  // namespace

void CheckMpi(int status, const char* expression) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0, world_rank = -1;
  MPI_Error_string(status, text, &length);
  MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
  throw CommError("MPI failed on rank {}: {}: {}", world_rank, expression, text);
}

bool LaunchedByMpi() {
  for (const char* variable : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"}) {
    if (std::getenv(variable) != nullptr) return true;
  }
  return false;
}

namespace {

// Fills in with whom this rank shares its cores: the ranks of its node with the same affinity mask.
void CompareAffinity(MPI_Comm node, World& world) {
  struct RankCores {
    int world_rank;
    cpu_set_t cores;
  };
  RankCores own{};
  own.world_rank = world.world_rank;
  CPU_ZERO(&own.cores);
  sched_getaffinity(0, sizeof own.cores, &own.cores);
  std::vector<RankCores> all(static_cast<std::size_t>(world.node_local_size));
  LCSC_MPI_CHECK(MPI_Allgather(&own, sizeof own, MPI_BYTE, all.data(), sizeof own, MPI_BYTE, node));
  world.ranks_sharing_cores = 0;
  world.shares_with_master = false;
  for (const RankCores& other : all) {
    if (CPU_EQUAL(&other.cores, &own.cores) == 0) continue;
    ++world.ranks_sharing_cores;
    if (other.world_rank == 0) world.shares_with_master = true;
  }
}

}  // namespace

World StartMpi(int* argc, char*** argv) {
  World world;
  if (!LaunchedByMpi()) return world;
  int provided = 0;
  LCSC_MPI_CHECK(MPI_Init_thread(argc, argv, MPI_THREAD_MULTIPLE, &provided));
  world.threads_may_communicate = provided == MPI_THREAD_MULTIPLE;
  LCSC_MPI_CHECK(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  LCSC_MPI_CHECK(MPI_Comm_rank(MPI_COMM_WORLD, &world.world_rank));
  LCSC_MPI_CHECK(MPI_Comm_size(MPI_COMM_WORLD, &world.world_size));
  SetOwnRank(world.world_rank);
  MPI_Comm node = MPI_COMM_NULL;
  LCSC_MPI_CHECK(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, world.world_rank, MPI_INFO_NULL, &node));
  LCSC_MPI_CHECK(MPI_Comm_rank(node, &world.node_local_rank));
  LCSC_MPI_CHECK(MPI_Comm_size(node, &world.node_local_size));
  LCSC_MPI_CHECK(MPI_Allreduce(&world.world_rank, &world.node, 1, MPI_INT, MPI_MIN, node));
  CompareAffinity(node, world);
  LCSC_MPI_CHECK(MPI_Comm_free(&node));
  return world;
}

void FinishMpi() {
  if (Initialised()) LCSC_MPI_CHECK(MPI_Finalize());
}

void AbortMpi(int exit_code) {
  std::fflush(nullptr);
  if (Initialised()) MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

void AbortWith(const std::exception_ptr& error) {
  int exit_code = static_cast<int>(ExitCode::kFailed);
  try {
    std::rethrow_exception(error);
  } catch (const Error& known) {
    std::fprintf(stderr, "lcsc: error: %s\n", known.what());
    exit_code = static_cast<int>(known.exit_code());
  } catch (const std::exception& unknown) {
    std::fprintf(stderr, "lcsc: unexpected error: %s\n", FirstLine(unknown).c_str());
  }
  AbortMpi(exit_code);
}

void AgreeOnSetUp(const World& world, const std::function<void()>& set_up) {
  SetUpResult result = RunSetUp(set_up);
  int failing_rank = result.exit_code != 0 ? world.world_rank : world.world_size;
  if (world.world_size > 1) {
    LCSC_MPI_CHECK(MPI_Allreduce(MPI_IN_PLACE, &failing_rank, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD));
    if (failing_rank == world.world_size) return;
    int header[2] = {result.exit_code, static_cast<int>(result.message.size())};
    LCSC_MPI_CHECK(MPI_Bcast(header, 2, MPI_INT, failing_rank, MPI_COMM_WORLD));
    result.exit_code = header[0];
    result.message.resize(static_cast<std::size_t>(header[1]));
    LCSC_MPI_CHECK(MPI_Bcast(result.message.data(), header[1], MPI_CHAR, failing_rank, MPI_COMM_WORLD));
  }
  if (result.exit_code != 0) throw SetUpError(result.message, static_cast<ExitCode>(result.exit_code));
}

void WaitPolitely(MPI_Request* request) {
  constexpr int kPollsBeforeSleep = 200;
  auto pause = std::chrono::microseconds(20);
  for (int polls = 0;; ++polls) {
    int done = 0;
    LCSC_MPI_CHECK(MPI_Test(request, &done, MPI_STATUS_IGNORE));
    if (done != 0) return;
    if (polls < kPollsBeforeSleep) continue;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(1000));
  }
}

}  // namespace lcsc
