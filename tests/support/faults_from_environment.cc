// Makes the program that it is linked into fail at its fault points (lcsc/base/fault_point.h), as LCSC_FAULTS says:
//
//   LCSC_FAULTS = fault [; fault]...       fault = site [@number] [#rank] = action [+skipped] [*times | ~probability]
//
//   site     the fault point's name: stage.measure, collective.gather, file.rename, ...
//   number   only with this number, the candidate's id
//   rank     only in the process of this world rank (OMPI_COMM_WORLD_RANK; 0 without mpirun)
//   action   throw    a std::runtime_error
//            enospc   what a full disk gives: an IoError
//            segv     writes to address 0
//            abort    std::abort
//            kill     SIGKILL to itself
//            stop     SIGSTOP to itself
//            hang     sleeps for ever in this thread
//   +skipped       not the first so many times in a process
//   *times         only the first so many times in a process; ~probability: each time with this probability
//
// "stage.measure@7#1=segv; file.sync=enospc*1": rank 1 crashes at candidate 7; each rank's first fsync fails. A fault
// that cannot be read ends the program with code 2.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <optional>
#include <random>
#include <regex>
#include <stdexcept>
#include <string>

#include "lcsc/base/error.h"
#include "lcsc/base/fault_point.h"

namespace lcsc {
namespace {

struct Fault {
  std::string site, action;
  std::optional<std::int64_t> number;
  std::int64_t skipped = 0;  // left
  std::int64_t times = -1;   // left; below 0: always
  double probability = 1;
};

void Fail(const FaultSite& site, const std::string& action) {
  const std::string place(site.name);
  if (action == "throw") throw std::runtime_error("injected at " + place);
  if (action == "enospc") throw IoError("cannot write: No space left on device (injected at {})", place);
  if (action == "segv") {
    volatile std::uintptr_t nowhere = 0;
    *reinterpret_cast<volatile int*>(nowhere) = 1;
  }
  if (action == "abort") std::abort();
  if (action == "kill") ::kill(::getpid(), SIGKILL);
  if (action == "stop") ::kill(::getpid(), SIGSTOP);
  while (action == "hang") ::pause();
}

// Threads: any.
bool IsHit(Fault& fault, const FaultSite& site) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (fault.site != site.name || (fault.number && *fault.number != site.number) || fault.times == 0) return false;
  if (fault.skipped > 0) {
    --fault.skipped;
    return false;
  }
  if (fault.probability < 1) {
    static std::mt19937_64 random(std::random_device{}());
    if (!std::bernoulli_distribution(fault.probability)(random)) return false;
  }
  if (fault.times > 0) --fault.times;
  return true;
}

// Those of this rank.
std::deque<Fault> ReadFaults(const std::string& text) {
  static const std::regex kFault(
      R"(\s*([a-z_.]+)(?:@(\d+))?(?:#(\d+))?=(throw|enospc|segv|abort|kill|stop|hang)(?:\+(\d+))?(?:\*(\d+)|~([0-9.]+))?\s*)");
  const char* const variable = std::getenv("OMPI_COMM_WORLD_RANK");
  const std::string world_rank = variable != nullptr ? variable : "0";
  std::deque<Fault> faults;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(';', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    begin = end + 1;
    if (part.find_first_not_of(' ') == std::string::npos) continue;
    std::smatch match;
    if (!std::regex_match(part, match, kFault)) {
      std::fprintf(stderr,
                   "LCSC_FAULTS: expected site[@number][#rank]=action[+skipped][*times|~probability], found '%s'\n",
                   part.c_str());
      std::_Exit(2);
    }
    if (match[3].matched && match[3] != world_rank) continue;
    Fault& fault = faults.emplace_back();
    fault.site = match[1];
    fault.action = match[4];
    if (match[2].matched) fault.number = std::stoll(match[2]);
    if (match[5].matched) fault.skipped = std::stoll(match[5]);
    if (match[6].matched) fault.times = std::stoll(match[6]);
    if (match[7].matched) fault.probability = std::stod(match[7]);
  }
  return faults;
}

[[maybe_unused]] const bool kInstalled = [] {
  const char* const text = std::getenv("LCSC_FAULTS");
  if (text == nullptr) return false;
  SetFaultHook([faults = ReadFaults(text)](const FaultSite& site) mutable {
    for (Fault& fault : faults) {
      if (IsHit(fault, site)) Fail(site, fault.action);
    }
  });
  return true;
}();

}  // namespace
}  // namespace lcsc
