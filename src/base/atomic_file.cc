#include "lcsc/base/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "lcsc/base/error.h"
#include "lcsc/base/fault_point.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

class FileDescriptor {
 public:
  FileDescriptor(const fs::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC)) {
    if (fd_ < 0) throw IoError("cannot open {} to flush it: {}", path.string(), std::strerror(errno));
  }
  ~FileDescriptor() { ::close(fd_); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

fs::path FolderOf(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

// Those that get a new entry when the folder is made with its parents.
std::vector<fs::path> FoldersThatChange(fs::path folder) {
  if (!folder.has_filename()) folder = folder.parent_path();
  std::vector<fs::path> changing;
  std::error_code ignored;
  for (; !folder.empty() && !fs::exists(folder, ignored); folder = folder.parent_path()) {
    changing.push_back(FolderOf(folder));
  }
  return changing;
}

}  // namespace

void SyncToDisk(const fs::path& path) {
  FaultPoint({.name = "file.sync"});
  const FileDescriptor file(path, O_RDONLY);
  if (::fsync(file.get()) != 0) {
    throw IoError("cannot flush {} to the disk: {}; free some space or choose another folder", path.string(),
                  std::strerror(errno));
  }
}

void PublishFile(const fs::path& path, const std::function<void(const fs::path&)>& write) {
  const fs::path temporary = path.string() + fmt::format(".tmp-{}", ::getpid());
  try {
    FaultPoint({.name = "file.write"});
    write(temporary);
    SyncToDisk(temporary);
    FaultPoint({.name = "file.rename"});
    std::error_code error;
    fs::rename(temporary, path, error);
    if (error) throw IoError("cannot rename {} to {}: {}", temporary.string(), path.string(), error.message());
    SyncToDisk(FolderOf(path));
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
}

void PublishText(const fs::path& path, std::string_view content) {
  PublishFile(path, [&](const fs::path& temporary) {
    std::ofstream file(temporary, std::ios::binary);
    file.write(content.data(), static_cast<std::streamsize>(content.size()));
    file.close();
    if (!file) {
      throw IoError("cannot write {}: {}; free some space or choose another folder", path.string(),
                    std::strerror(errno));
    }
  });
}

void CreateFolder(const fs::path& folder) {
  const std::vector<fs::path> changing = FoldersThatChange(folder);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || !fs::is_directory(folder)) {
    throw IoError("cannot create the folder {}: {}", folder.string(), error ? error.message() : "a file is in the way");
  }
  for (const fs::path& changed : changing) {
    if (::access(changed.c_str(), R_OK) == 0) SyncToDisk(changed);  // one may be written and not read
  }
}

}  // namespace lcsc
