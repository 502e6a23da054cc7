// Runs a program as a user would, without a shell, and keeps what it prints and how it ends.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/temp_folder.h"

namespace lcsc {

using Arguments = std::vector<std::string>;

inline Arguments operator+(Arguments left, const Arguments& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

struct CommandResult {
  int exit_code = 0;  // 128 + the signal when one ended it, as shells say
  std::string out, err;
};

// The processes below `parent`, at any depth.
inline std::vector<pid_t> Descendants(pid_t parent) {
  std::vector<pid_t> all;
  std::error_code gone;
  const std::filesystem::path tasks = "/proc/" + std::to_string(parent) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks, gone)) {
    std::ifstream children(task.path() / "children");
    for (pid_t child = 0; children >> child;) {
      all.push_back(child);
      for (const pid_t below : Descendants(child)) all.push_back(below);
    }
  }
  return all;
}

class RunningCommand {
 public:
  explicit RunningCommand(Arguments arguments) {
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    constexpr int kNewFile = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, (files_ / "out").c_str(), kNewFile, 0600);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, (files_ / "err").c_str(), kNewFile, 0600);
    const int status = ::posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (status != 0) throw std::runtime_error("cannot start " + arguments[0]);
  }
  ~RunningCommand() {
    if (pid_ > 0) KillAll();
  }
  RunningCommand(const RunningCommand&) = delete;
  RunningCommand& operator=(const RunningCommand&) = delete;

  // Polls until the condition holds; false when the program ended before.
  bool WaitUntil(const std::function<bool()>& condition) {
    while (!condition()) {
      siginfo_t info{};
      ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
      if (info.si_pid == pid_) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  pid_t pid() const { return pid_; }
  void Signal(int number) const { ::kill(pid_, number); }

  // The program and everything that it started, at once.
  CommandResult KillAll() {
    const std::vector<pid_t> below = Descendants(pid_);
    Signal(SIGKILL);
    for (const pid_t child : below) ::kill(child, SIGKILL);
    return Wait();
  }

  CommandResult Wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return {code, ReadBytes(files_ / "out"), ReadBytes(files_ / "err")};
  }

 private:
  TempFolder files_;
  pid_t pid_ = 0;
};

inline CommandResult RunCommand(Arguments arguments) { return RunningCommand(std::move(arguments)).Wait(); }

}  // namespace lcsc
