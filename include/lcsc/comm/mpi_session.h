// MPI's beginning and end, and the check of every MPI call.
#pragma once

#include <mpi.h>

#include <exception>
#include <functional>
#include <string>

#include "lcsc/base/error.h"

namespace lcsc {

// Throws CommError with the expression, MPI's text, and the rank.
void CheckMpi(int status, const char* expression);

// True when a launcher (mpirun, srun) started this process as one of several ranks.
bool LaunchedByMpi();

// The ranks of this job. Without a launcher: one rank, and MPI is never touched.
struct World {
  int world_rank = 0;
  int world_size = 1;
  int node = 0;  // the lowest world rank on this rank's node
  int node_local_rank = 0;
  int node_local_size = 1;
  // Ranks of this node, this one included, that may use exactly the cores that this one may use.
  int ranks_sharing_cores = 1;
  // Whether rank 0 is one of them.
  bool shares_with_master = true;
  // Whether MPI may be called from several threads at once.
  bool threads_may_communicate = true;
};

// Initialises MPI when a launcher started us, with errors returned (not fatal), for several threads. Call once.
World StartMpi(int* argc, char*** argv);
// Ends MPI if it was started. Not for use while an exception is on its way: see AbortMpi.
void FinishMpi();
// Ends every rank of the job at once with this exit code; without a launcher, exits.
[[noreturn]] void AbortMpi(int exit_code);
// Prints the error as the program's last words and ends every rank with its exit code.
[[noreturn]] void AbortWith(const std::exception_ptr& error);

// An error on which all ranks have agreed: each of them throws it, so that each can end in order.
class SetUpError : public Error {
 public:
  using Error::Error;
};

// Runs `set_up` on every rank. When it throws on any rank, every rank throws the error of the lowest such rank as a
// SetUpError: so one clear message is printed, by rank 0, and no rank waits for one that has gone. Collective.
void AgreeOnSetUp(const World& world, const std::function<void()>& set_up);

// Waits without burning the core: a moment of polling, then sleeps of up to a millisecond.
void WaitPolitely(MPI_Request* request);

}  // namespace lcsc

#define LCSC_MPI_CHECK(call) ::lcsc::CheckMpi((call), #call)
