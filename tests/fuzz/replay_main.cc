// Runs a fuzz target over its corpus without a fuzzer, as libFuzzer's own main does with files for arguments:
//   NAME CORPUS_FOLDER_OR_FILE ...
// Each input may take kMaxSeconds, and all of them together kMaxBytes of memory more than the program itself.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <vector>

#include "fuzz_target.h"

namespace lcsc {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kMaxSeconds = 20;
constexpr rlim_t kMaxBytes = rlim_t{2} << 30;

std::vector<fs::path> InputsIn(const fs::path& place) {
  if (!fs::is_directory(place)) return {place};
  std::vector<fs::path> inputs;
  for (const auto& entry : fs::directory_iterator(place)) inputs.push_back(entry.path());
  std::ranges::sort(inputs);
  return inputs;
}

// An address sanitizer needs terabytes of addresses and watches over memory itself.
void LimitMemory() {
#ifndef __SANITIZE_ADDRESS__
  rlim_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlim_t bytes = pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + kMaxBytes;
  const rlimit limit{bytes, bytes};
  ::setrlimit(RLIMIT_AS, &limit);
#endif
}

}  // namespace
}  // namespace lcsc

int main(int argc, char** argv) {
  std::size_t count = 0;
  lcsc::LimitMemory();
  for (int i = 1; i < argc; ++i) {
    for (const auto& input : lcsc::InputsIn(argv[i])) {
      std::printf("%s\n", input.c_str());
      std::fflush(stdout);
      const std::string bytes = lcsc::ReadBytes(input);
      ::alarm(lcsc::kMaxSeconds);
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
      ++count;
    }
  }
  std::printf("%zu inputs replayed\n", count);
  return count > 0 ? 0 : 1;
}
