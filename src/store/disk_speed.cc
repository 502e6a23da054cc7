#include "lcsc/store/disk_speed.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <vector>

#include "lcsc/base/atomic_file.h"
#include "lcsc/base/error.h"

namespace lcsc {
namespace fs = std::filesystem;

std::optional<double> MeasureSequentialWrite(const fs::path& folder, std::int64_t num_bytes) {
  constexpr std::int64_t kBlock = 4 << 20;
  // A packer's temporary name: a later packer removes it when this one is killed here.
  const fs::path path = folder / fmt::format("shard-99999.h5.tmp-{}", ::getpid());
  std::vector<char> block(static_cast<std::size_t>(std::min(kBlock, num_bytes)));
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>(i * 2654435761u >> 24);
  const auto start = std::chrono::steady_clock::now();
  bool written = false;
  try {
    std::ofstream file(path, std::ios::binary);
    for (std::int64_t left = num_bytes; left > 0; left -= kBlock) {
      file.write(block.data(), static_cast<std::streamsize>(std::min(kBlock, left)));
    }
    file.close();
    written = file.good();
    if (written) SyncToDisk(path);
  } catch (const IoError&) {
    written = false;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::error_code ignored;
  fs::remove(path, ignored);
  return written && seconds > 0 ? std::optional<double>(static_cast<double>(num_bytes) / seconds) : std::nullopt;
}

}  // namespace lcsc
