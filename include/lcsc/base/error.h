// Errors of the whole program, by who can mend them.
//   ConfigError   an option or a key is wrong                      exit code 2
//   InputError    a file given by the user is missing or damaged   exit code 2
//   IoError       the system failed us: disk full, no permission   exit code 4
//   DeviceError   a GPU or its driver failed                       exit code 4
//   CommError     MPI or NCCL failed                               exit code 4
//   MetricError   statistics that do not belong together           exit code 2
//   LostRankError a rank stopped answering; run it again           exit code 5
// A message says what was expected, what was found, in which file or option, and what to do.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace lcsc {

// kRetry: the same command goes on from where it was; so it does after kInterrupted.
enum class ExitCode : int { kDone = 0, kBadInput = 2, kInterrupted = 3, kFailed = 4, kRetry = 5 };

class Error : public std::runtime_error {
 public:
  Error(std::string message, ExitCode exit_code) : std::runtime_error(std::move(message)), exit_code_(exit_code) {}
  ExitCode exit_code() const { return exit_code_; }

 private:
  ExitCode exit_code_;
};

template <ExitCode kCode, int kTag>
class TaggedError : public Error {
 public:
  explicit TaggedError(std::string message) : Error(std::move(message), kCode) {}
  // Formats as fmt does: ConfigError("{}: expected {}", key, range).
  template <typename First, typename... Rest>
  TaggedError(fmt::format_string<First, Rest...> format, First&& first, Rest&&... rest)
      : Error(fmt::format(format, std::forward<First>(first), std::forward<Rest>(rest)...), kCode) {}
};

using ConfigError = TaggedError<ExitCode::kBadInput, 0>;
using InputError = TaggedError<ExitCode::kBadInput, 1>;
using MetricError = TaggedError<ExitCode::kBadInput, 2>;
using IoError = TaggedError<ExitCode::kFailed, 3>;
using DeviceError = TaggedError<ExitCode::kFailed, 4>;
using CommError = TaggedError<ExitCode::kFailed, 5>;
using LostRankError = TaggedError<ExitCode::kRetry, 6>;

// The first line of an exception's text: LibTorch's exceptions carry a stack trace behind it.
std::string FirstLine(const std::exception& error);

// A broken invariant: a mistake of ours, never of the user's. Always checked, also in release builds.
class InvariantError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void FailInvariant(const char* expression, const char* file, int line);

}  // namespace lcsc

#define LCSC_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::lcsc::FailInvariant(#condition, __FILE__, __LINE__))
