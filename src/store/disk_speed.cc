#include "lcsc/store/disk_speed.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <vector>

#include "lcsc/base/atomic_file.h"
#include "lcsc/base/error.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kBlock = 4 << 20;
using Clock = std::chrono::steady_clock;

// A file of one measurement, removed with it.
class ProbeFile {
 public:
  // A packer's temporary name: a later packer removes it when this one is killed here.
  explicit ProbeFile(const fs::path& folder) : path_(folder / fmt::format("shard-99999.h5.tmp-{}", ::getpid())) {}
  ~ProbeFile() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  ProbeFile(const ProbeFile&) = delete;
  ProbeFile& operator=(const ProbeFile&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::optional<double> RateOf(std::int64_t num_bytes, Clock::time_point start) {
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return seconds > 0 ? std::optional<double>(static_cast<double>(num_bytes) / seconds) : std::nullopt;
}

std::optional<double> WriteRate(const fs::path& path, std::int64_t num_bytes) {
  std::vector<char> block(static_cast<std::size_t>(std::min(kBlock, num_bytes)));
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>(i * 2654435761u >> 24);
  const auto start = Clock::now();
  try {
    std::ofstream file(path, std::ios::binary);
    for (std::int64_t left = num_bytes; left > 0; left -= kBlock) {
      file.write(block.data(), static_cast<std::streamsize>(std::min(kBlock, left)));
    }
    file.close();
    if (!file.good()) return std::nullopt;
    SyncToDisk(path);
  } catch (const IoError&) {
    return std::nullopt;
  }
  return RateOf(num_bytes, start);
}

std::optional<double> ReadRate(const fs::path& path, std::int64_t num_bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  std::vector<char> block(static_cast<std::size_t>(kBlock));
  const auto start = Clock::now();
  std::int64_t bytes = 0;
  for (ssize_t got = 0; (got = ::read(fd, block.data(), block.size())) > 0;) bytes += got;
  ::close(fd);
  return bytes == num_bytes ? RateOf(bytes, start) : std::nullopt;
}

}  // namespace

std::optional<double> MeasureSequentialWrite(const fs::path& folder, std::int64_t num_bytes) {
  const ProbeFile file(folder);
  return WriteRate(file.path(), num_bytes);
}

std::optional<DiskSpeed> MeasureDisk(const fs::path& folder, std::int64_t num_bytes) {
  const ProbeFile file(folder);
  const auto written = WriteRate(file.path(), num_bytes);
  const auto read = written ? ReadRate(file.path(), num_bytes) : std::nullopt;
  return read ? std::optional<DiskSpeed>({*written, *read}) : std::nullopt;
}

}  // namespace lcsc
