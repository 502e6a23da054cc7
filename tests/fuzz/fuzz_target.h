// What every fuzz target shares: bytes become a file with a path, and bad bytes may only become one clear error.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>

#include "lcsc/base/error.h"
#include "support/temp_folder.h"

namespace lcsc {

// A file named `name` with these bytes, in a folder that lasts as long as the process. One file at a time.
inline std::filesystem::path FileOf(const std::string& name, const std::uint8_t* data, std::size_t size) {
  static const TempFolder folder;
  const auto path = folder / name;
  WriteBytes(path, std::string(reinterpret_cast<const char*>(data), size));
  return path;
}

inline std::string_view TextOf(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A property that must hold for whatever a reader accepts: reported as a crash.
inline void Expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "the reader accepted its input, but not: %s\n", what);
  std::abort();
}

// Runs a reader. It may succeed, or refuse with an Error of exit code 2; whatever else it throws ends the process.
template <typename Action>
int AllowRefusal(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    const bool tells = error.exit_code() == ExitCode::kBadInput && *error.what() != '\0';
    Expect(tells, "a refusal of bad bytes is an InputError, ConfigError or MetricError with a message");
  }
  return 0;
}

}  // namespace lcsc

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
