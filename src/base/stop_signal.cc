#include "lcsc/base/stop_signal.h"

#include <atomic>
#include <chrono>
#include <csignal>

namespace lcsc {
namespace {

using Clock = std::chrono::steady_clock;

std::atomic<int> g_stop_signal{0};
Clock::time_point g_deadline = Clock::time_point::max();
static_assert(std::atomic<int>::is_always_lock_free, "the signal handler needs a lock-free flag");

extern "C" void OnStopSignal(int signal_number) {
  if (g_stop_signal.exchange(signal_number) != 0 && signal_number == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
}

}  // namespace

void InstallStopSignals() {
  struct sigaction action = {};
  action.sa_handler = OnStopSignal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal_number : {SIGTERM, SIGINT, SIGUSR1}) sigaction(signal_number, &action, nullptr);
}

void SetStopDeadline(double seconds) {
  g_deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

bool StopRequested() { return g_stop_signal.load() != 0 || Clock::now() >= g_deadline; }

const char* StopSignalName() {
  switch (g_stop_signal.load()) {
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    case SIGUSR1:
      return "SIGUSR1";
    default:
      return Clock::now() >= g_deadline ? "the time limit" : "";
  }
}

void SetStopRequested(bool requested) { g_stop_signal.store(requested ? SIGTERM : 0); }

}  // namespace lcsc
