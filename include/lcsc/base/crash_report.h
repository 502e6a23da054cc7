// The last words of a process that a signal ends: rank, host, candidate and stage.
#pragma once

#include <filesystem>

namespace lcsc {

// On SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT (so also on std::terminate) one line goes to stderr, and when the
// thread worked on a candidate, one line becomes the content of `folder`/crash-<world rank>.txt:
//   17 SIGSEGV in stage sample on rank 3 (n1) at 1790000000
// with the time in seconds since 1970, which tells one crash from another.
// Then the signal goes on to who handled it before (MPI prints a stack trace) and ends the process as ever: core dump,
// the launcher's report. Call after MPI is initialised, before other threads start; a second call changes the folder
// alone.
//   folder: when there is none, there is no file.
void InstallCrashReport(const std::filesystem::path& folder);

}  // namespace lcsc
