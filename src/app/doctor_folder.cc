// Does in a folder what a search does in its run directory.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>
#include <fstream>
#include <thread>

#include "app/doctor_check.h"
#include "lcsc/base/atomic_file.h"
#include "lcsc/base/error.h"
#include "lcsc/base/progress.h"
#include "lcsc/comm/gather.h"
#include "lcsc/store/disk_speed.h"
#include "lcsc/store/hdf5.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

// The folder, made where it is absent, and this process's own file in it; afterwards all is as it was.
class Probe {
 public:
  explicit Probe(const fs::path& folder) : file_(folder / fmt::format(".lcsc-doctor-{}", ::getpid())) {
    for (fs::path above = fs::absolute(folder).lexically_normal(); !fs::exists(above); above = above.parent_path()) {
      if (above.has_filename()) made_.push_back(above);
    }
    CreateFolder(folder);
  }
  ~Probe() {
    std::error_code ignored;
    fs::remove(file_, ignored);
    fs::remove(link(), ignored);
    for (const fs::path& folder : made_) fs::remove(folder, ignored);
  }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  const fs::path& file() const { return file_; }
  fs::path link() const { return file_.string() + ".link"; }
  fs::path folder() const { return file_.parent_path(); }

 private:
  fs::path file_;
  std::vector<fs::path> made_;  // the innermost first
};

class OpenFile {
 public:
  OpenFile(const fs::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {
    if (fd_ < 0) throw IoError("cannot open {}: {}", path.string(), std::strerror(errno));
  }
  ~OpenFile() { ::close(fd_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

std::string FileSystemName(const struct statfs& facts) {
  constexpr std::array<std::pair<std::uint32_t, const char*>, 18> kNames = {{{0xEF53, "ext4"},
                                                                             {0x58465342, "xfs"},
                                                                             {0x9123683E, "btrfs"},
                                                                             {0x2FC12FC1, "zfs"},
                                                                             {0xF2F52010, "f2fs"},
                                                                             {0x01021994, "tmpfs"},
                                                                             {0x858458F6, "ramfs"},
                                                                             {0x794C7630, "overlay"},
                                                                             {0x6969, "nfs"},
                                                                             {0x0BD00BD0, "lustre"},
                                                                             {0x47504653, "gpfs"},
                                                                             {0x19830326, "beegfs"},
                                                                             {0x00C36400, "ceph"},
                                                                             {0xFF534D42, "cifs"},
                                                                             {0xFE534D42, "smb2"},
                                                                             {0x65735546, "fuse"},
                                                                             {0x5346414F, "afs"},
                                                                             {0x01021997, "9p"}}};
  const auto type = static_cast<std::uint32_t>(facts.f_type);
  for (const auto& [magic, name] : kNames) {
    if (magic == type) return name;
  }
  return fmt::format("type {:#x}", type);
}

Finding CheckWritable(const Probe& probe) {
  constexpr std::string_view kText = "written by lcsc doctor\n";
  PublishText(probe.file(), kText);
  std::ifstream file(probe.file());
  const std::string found{std::istreambuf_iterator<char>(file), {}};
  if (found != kText) throw IoError("{}: other bytes come back than were written", probe.file().string());
  return {"run directory", fmt::format("{}: writing, fsync and rename work", probe.folder().string())};
}

Finding CheckSpace(const fs::path& folder) {
  constexpr double kLittle = double{1 << 30}, kTooLittle = double{16 << 20};
  struct statfs facts {};
  if (::statfs(folder.c_str(), &facts) != 0) throw IoError("cannot ask {}: {}", folder.string(), std::strerror(errno));
  const double bytes = static_cast<double>(facts.f_bavail) * static_cast<double>(facts.f_bsize);
  const std::string name = FileSystemName(facts);
  Finding finding{"file system", fmt::format("{}, {} free", name, FormatBytes(bytes))};
  if (bytes < kLittle) {
    finding.verdict = bytes < kTooLittle ? Verdict::kFail : Verdict::kWarn;
    finding.advice = "free some space: a search stops when it cannot write its journal";
  } else if (name == "tmpfs" || name == "ramfs") {
    finding.verdict = Verdict::kWarn;
    finding.advice = "it is in memory and ends with the machine: a run directory belongs on a disk";
  }
  return finding;
}

Finding CheckLocks(const fs::path& path) {
  const OpenFile first(path, O_RDWR), second(path, O_RDWR);
  if (::flock(first.fd(), LOCK_EX | LOCK_NB) != 0) {
    return {"file locking", fmt::format("flock is refused: {}", std::strerror(errno)), Verdict::kWarn,
            "lcsc works without: it keeps HDF5 from locking (HDF5_USE_FILE_LOCKING=FALSE) and knows a second search by "
            "its signs of life, which takes longer; export HDF5_USE_FILE_LOCKING=FALSE for other programs that read "
            "these files, or have the file system mounted with locks (Lustre: -o flock; NFS: lockd)"};
  }
  if (::flock(second.fd(), LOCK_EX | LOCK_NB) == 0) {
    return {"file locking", "flock lets two in at once", Verdict::kWarn,
            "start one search at a time in this run directory: a second one may not be noticed at once"};
  }
  return {"file locking", "flock works"};
}

Finding CheckHardLink(const Probe& probe) {
  std::error_code error;
  fs::create_hard_link(probe.file(), probe.link(), error);
  if (!error) return {"hard links", "work"};
  return {"hard links", fmt::format("none ({}): the previous snapshot is kept as a copy", error.message())};
}

Finding CheckFileTimes(const fs::path& path) {
  constexpr double kMostSeconds = 2;
  PublishText(path, "now\n");
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) throw IoError("cannot ask {}: {}", path.string(), std::strerror(errno));
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const double ahead =
      static_cast<double>(facts.st_mtim.tv_sec) + 1e-9 * static_cast<double>(facts.st_mtim.tv_nsec) - now;
  if (std::abs(ahead) <= kMostSeconds) return {"file times", "agree with this host's clock"};
  return {"file times",
          fmt::format("a file written now is {:.1f} s {}", std::abs(ahead), ahead > 0 ? "in the future" : "old"),
          Verdict::kWarn, "let one time server set the clocks of this host and of the file server"};
}

// Median seconds of an append as a journal makes it.
double AppendSeconds(const fs::path& path) {
  constexpr std::size_t kTimes = 9, kBytes = 3200;
  const OpenFile file(path, O_WRONLY | O_APPEND);
  const std::string record(kBytes, 'r');
  std::array<double, kTimes> seconds{};
  for (double& taken : seconds) {
    const auto start = std::chrono::steady_clock::now();
    if (::write(file.fd(), record.data(), record.size()) != static_cast<ssize_t>(record.size()) ||
        ::fdatasync(file.fd()) != 0) {
      throw IoError("cannot append to {}: {}", path.string(), std::strerror(errno));
    }
    taken = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  std::ranges::nth_element(seconds, seconds.begin() + kTimes / 2);
  return seconds[kTimes / 2];
}

Finding CheckSpeed(const Probe& probe) {
  constexpr std::int64_t kBytes = 64 << 20;
  constexpr double kMega = 1e6, kSlow = 20 * kMega, kSlowAppend = 0.2;
  const auto speed = MeasureDisk(probe.folder(), kBytes);
  if (!speed) throw IoError("cannot write and read {} in {}", FormatBytes(kBytes), probe.folder().string());
  const double append = AppendSeconds(probe.file());
  Finding finding{"disk speed", fmt::format("writes {:.0f} MB/s, reads {:.0f} MB/s, a journal entry takes {:.2f} ms",
                                            speed->write_bytes_per_second / kMega, speed->read_bytes_per_second / kMega,
                                            1e3 * append)};
  if (std::min(speed->write_bytes_per_second, speed->read_bytes_per_second) < kSlow || append > kSlowAppend) {
    finding.verdict = Verdict::kWarn;
    finding.advice = "a slow disk: put the trajectory and the run directory onto a quicker one";
  }
  return finding;
}

Finding CheckHdf5(const fs::path& path) {
  constexpr std::int64_t kValue = 27182818;
  PublishHdf5(path, [](Hdf5Group& root) { root.WriteIntegerAttribute("doctor", kValue); });
  if (Hdf5Group::OpenFile(path).ReadIntegerAttribute("doctor") != kValue) {
    throw IoError("{}: another number comes back than was written", path.string());
  }
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return {"HDF5", fmt::format("{}.{}.{} writes and reads a file; lcsc keeps it from locking", major, minor, release)};
}

}  // namespace

std::vector<Finding> CheckRunDirectory(const fs::path& folder) {
  std::vector<Finding> findings;
  const char* check = "run directory";
  const auto add = [&](const char* next, const auto& finding_of) {
    check = next;
    findings.push_back(finding_of());
  };
  try {
    const Probe probe(folder);
    add("run directory", [&] { return CheckWritable(probe); });
    add("file system", [&] { return CheckSpace(probe.folder()); });
    add("file locking", [&] { return CheckLocks(probe.file()); });
    add("hard links", [&] { return CheckHardLink(probe); });
    add("file times", [&] { return CheckFileTimes(probe.file()); });
    if (findings[1].verdict != Verdict::kFail) add("disk speed", [&] { return CheckSpeed(probe); });
    add("HDF5", [&] { return CheckHdf5(probe.file()); });
  } catch (const Error& error) {
    findings.push_back({check, error.what(), Verdict::kFail,
                        "choose a run directory on a file system that can be written, or have this one repaired"});
  } catch (const fs::filesystem_error& error) {
    findings.push_back({check, error.what(), Verdict::kFail, "choose a run directory that this user may reach"});
  }
  return findings;
}

Finding CheckSeenByAll(const World& world, const fs::path& folder) {
  constexpr int kLooks = 20;
  std::unique_ptr<Probe> probe;
  std::string marker;
  if (world.world_rank == 0) {
    try {
      probe = std::make_unique<Probe>(folder);
      PublishText(probe->file(), "seen?\n");
      marker = fs::absolute(probe->file());
    } catch (const std::exception&) {
      probe.reset();  // CheckRunDirectory says why
    }
  }
  marker = GatherTexts(world, marker).front();
  if (marker.empty()) return {"run directory seen", "not checked: rank 0 cannot write it"};
  std::error_code ignored;
  bool seen = fs::exists(marker, ignored);
  for (int look = 1; look < kLooks && !seen; ++look) {  // a network file system may be some moments behind
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    seen = fs::exists(marker, ignored);
  }
  const std::vector<std::string> answers = GatherTexts(world, seen ? "seen" : "missed");
  const auto blind = std::ranges::find(answers, "missed");
  if (blind == answers.end()) return {"run directory seen", fmt::format("by all {} ranks", answers.size())};
  return {"run directory seen", fmt::format("not by rank {}", blind - answers.begin()), Verdict::kWarn,
          "use a file system that all hosts share: workers leave crash reports there, and any of them may be the "
          "master next time"};
}

}  // namespace lcsc
