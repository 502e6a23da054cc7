#include "lcsc/base/crash_report.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>

#include "lcsc/base/process.h"
#include "lcsc/base/stage_board.h"

namespace lcsc {
namespace {

struct FatalSignal {
  int number;
  const char* name;
};
constexpr std::array<FatalSignal, 5> kFatalSignals = {
    {{SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"}, {SIGFPE, "SIGFPE"}, {SIGILL, "SIGILL"}, {SIGABRT, "SIGABRT"}}};

// What the handler needs, made beforehand.
std::array<struct sigaction, kFatalSignals.size()> g_before;
std::array<char, 4096> g_file;
std::array<char, 256> g_host;
std::atomic<bool> g_crashed{false};
constinit thread_local bool t_crashed = false;

// Text without memory from the heap, for a signal handler; what does not fit is left out.
class SignalText {
 public:
  SignalText& Add(std::string_view text) {
    const std::size_t count = std::min(text.size(), bytes_.size() - size_);
    std::memcpy(bytes_.data() + size_, text.data(), count);
    size_ += count;
    return *this;
  }
  SignalText& Add(std::int64_t number) {
    std::array<char, 24> digits;
    std::size_t begin = digits.size();
    auto left = number < 0 ? 0 - static_cast<std::uint64_t>(number) : static_cast<std::uint64_t>(number);
    do {
      digits[--begin] = static_cast<char>('0' + left % 10);
      left /= 10;
    } while (left != 0);
    if (number < 0) digits[--begin] = '-';
    return Add({digits.data() + begin, digits.size() - begin});
  }
  void WriteTo(int fd) const {
    if (::write(fd, bytes_.data(), size_) < 0) return;  // nobody is left to be told
  }

 private:
  std::array<char, 512> bytes_;
  std::size_t size_ = 0;
};

SignalText& AddPlace(SignalText& text, const Activity& activity) {
  return text.Add(" in stage ")
      .Add(activity.stage)
      .Add(" on rank ")
      .Add(OwnRank())
      .Add(" (")
      .Add(g_host.data())
      .Add(")");
}

void WriteLastWords(const char* signal_name, const Activity& activity) {
  SignalText words;
  words.Add("lcsc: ").Add(signal_name);
  AddPlace(words, activity);
  if (activity.candidate_id != kNoCandidate) words.Add(", candidate ").Add(activity.candidate_id);
  words.Add("\n").WriteTo(STDERR_FILENO);
  if (activity.candidate_id == kNoCandidate || g_file[0] == '\0') return;
  const int fd = ::open(g_file.data(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return;
  SignalText line;
  line.Add(activity.candidate_id).Add(" ").Add(signal_name);
  AddPlace(line, activity).Add(" at ").Add(static_cast<std::int64_t>(::time(nullptr))).Add("\n").WriteTo(fd);
  ::close(fd);
}

// So that raise() acts at once: the thread sanitizer's runtime blocks all signals while a handler runs, SA_NODEFER or
// not.
void Unblock(int number) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, number);
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

void EndBy(int number) {
  std::signal(number, SIG_DFL);
  ::raise(number);
}

extern "C" void OnFatalSignal(int number) {
  if (t_crashed) EndBy(number);
  t_crashed = true;
  // Another thread that crashes too must not end the process before the first has spoken.
  while (g_crashed.exchange(true)) ::pause();
  const auto* const fatal = std::find_if(kFatalSignals.begin(), kFatalSignals.end(),
                                         [&](const FatalSignal& signal) { return signal.number == number; });
  WriteLastWords(fatal->name, ThreadHasStages() ? OwnActivity() : OldestActivity());
  ::sigaction(number, &g_before[static_cast<std::size_t>(fatal - kFatalSignals.begin())], nullptr);
  Unblock(number);
  ::raise(number);
  EndBy(number);
}

}  // namespace

void InstallCrashReport(const std::filesystem::path& folder) {
  const auto keep = [](const std::string& text, auto& bytes) {
    if (text.size() < bytes.size()) std::copy_n(text.c_str(), text.size() + 1, bytes.data());
  };
  keep(folder.empty() ? "" : (folder / ("crash-" + std::to_string(OwnRank()) + ".txt")).string(), g_file);
  keep(HostName(), g_host);
  static bool is_installed = false;
  if (std::exchange(is_installed, true)) return;
  struct sigaction action = {};
  action.sa_handler = OnFatalSignal;
  action.sa_flags = SA_NODEFER;  // so that raise() acts at once
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kFatalSignals.size(); ++i) {
    ::sigaction(kFatalSignals[i].number, &action, &g_before[i]);
  }
}

}  // namespace lcsc
