#include "lcsc/state/run_lock.h"

#include <gmock/gmock.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <thread>

#include "lcsc/base/error.h"
#include "lcsc/base/process.h"
#include "support/temp_folder.h"

namespace {
std::atomic<bool> g_has_flock = true;
}

// In place of the C library's.
extern "C" int flock(int fd, int operation) {
  if (g_has_flock) return static_cast<int>(::syscall(SYS_flock, fd, operation));
  errno = ENOLCK;
  return -1;
}

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr RunLockOptions kQuick = {.retry_s = 0.2, .sign_of_life_s = 0.1};

class RunLockTest : public ::testing::Test {
 protected:
  std::string Holder() const {
    std::ifstream file(folder_.path() / "lock");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string RefusalOf() const {
    try {
      const RunLock lock(folder_.path(), kQuick);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "no error";
  }
  TempFolder folder_;
};

TEST_F(RunLockTest, ASecondIsRefusedWithTheNameOfTheFirst) {
  ::setenv("SLURM_JOB_ID", "4711", 1);
  const RunLock lock(folder_.path(), kQuick);
  ::unsetenv("SLURM_JOB_ID");
  EXPECT_THAT(RefusalOf(), AllOf(HasSubstr(folder_.path().string()), HasSubstr(std::to_string(::getpid())),
                                 HasSubstr("Slurm job 4711"), HasSubstr("choose another")));
}

TEST_F(RunLockTest, ItIsGivenBack) {
  { const RunLock lock(folder_.path(), kQuick); }
  EXPECT_FALSE(fs::exists(folder_.path() / "lock"));
  EXPECT_EQ(RefusalOf(), "no error");
}

TEST_F(RunLockTest, OneThatAKilledProcessLeftIsTakenOver) {
  const pid_t child = ::fork();
  if (child == 0) {
    const RunLock lock(folder_.path(), kQuick);
    ::_exit(0);  // no destructor runs
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_THAT(Holder(), HasSubstr(std::to_string(child)));
  const RunLock lock(folder_.path(), kQuick);
  EXPECT_THAT(Holder(), HasSubstr(std::to_string(::getpid())));
}

// A file system whose locks are its own host's only.
TEST_F(RunLockTest, AHolderOnAnotherHostIsRespectedWhileItLives) {
  const auto write = [&] { std::ofstream(folder_.path() / "lock") << R"({"host": "elsewhere", "pid": 1, "job": ""})"; };
  write();
  std::atomic<bool> dead = false;
  std::thread alive([&] {
    while (!dead) {
      fs::last_write_time(folder_.path() / "lock", fs::file_time_type::clock::now());
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  EXPECT_THAT(RefusalOf(), HasSubstr("process 1 on elsewhere"));
  dead = true;
  alive.join();
  EXPECT_EQ(RefusalOf(), "no error") << "no sign of life any more";
}

TEST_F(RunLockTest, AHolderThatOnlyWaitsGivesSignsOfLife) {
  const RunLock lock(folder_.path(), kQuick);
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(1);
  fs::last_write_time(folder_.path() / "lock", long_ago);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_GT(fs::last_write_time(folder_.path() / "lock"), long_ago);
}

// As after a SIGSTOP that was so long that another host took the run over.
TEST_F(RunLockTest, WhoHasLostTheLockIsToldAndLeavesItAlone) {
  const std::string other = R"({"host": "elsewhere", "pid": 7, "started": 1, "job": "12"})";
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(1);
  {
    RunLock lock(folder_.path(), kQuick);
    EXPECT_NO_THROW(lock.Confirm());
    std::ofstream(folder_.path() / "lock") << other;
    fs::last_write_time(folder_.path() / "lock", long_ago);
    EXPECT_THAT(MessageOf<ConfigError>([&] { lock.Confirm(); }),
                AllOf(HasSubstr("process 7 on elsewhere, Slurm job 12"), HasSubstr("no longer this search's")));
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
    EXPECT_THROW(lock.ConfirmIfDue(), ConfigError);
  }
  EXPECT_EQ(Holder(), other);
  EXPECT_EQ(fs::last_write_time(folder_.path() / "lock"), long_ago) << "a sign of life in another's name";
}

TEST_F(RunLockTest, ALockThatWasRemovedIsLost) {
  RunLock lock(folder_.path(), kQuick);
  fs::remove(folder_.path() / "lock");
  EXPECT_THAT(MessageOf<IoError>([&] { lock.Confirm(); }), HasSubstr("another search could begin there"));
}

// Without flock its holder's number and start tell whether it lives.
TEST_F(RunLockTest, AnotherProcessOfTheHoldersNumberIsNotTheHolder) {
  const ProcessId own = IdentifyProcess(::getpid());
  const auto write = [&](std::int64_t started) {
    std::ofstream(folder_.path() / "lock")
        << fmt::format(R"({{"host": "{}", "pid": {}, "started": {}, "job": ""}})", HostName(), own.pid, started);
  };
  g_has_flock = false;
  write(own.started - 1);
  EXPECT_EQ(RefusalOf(), "no error");
  write(own.started);
  EXPECT_THAT(RefusalOf(), HasSubstr("in use by process"));
  g_has_flock = true;
}

TEST_F(RunLockTest, WhoWatchesSeesTheHolder) {
  EXPECT_FALSE(ReadLockHolder(folder_.path()));
  const RunLock lock(folder_.path(), kQuick);
  const auto holder = ReadLockHolder(folder_.path());
  ASSERT_TRUE(holder);
  EXPECT_EQ(holder->host, HostName());
  EXPECT_TRUE(IsAlive(holder->process));
  EXPECT_GT(holder->process.started, 0);
  EXPECT_LT(std::abs(holder->silent_s), 5);
}

TEST_F(RunLockTest, AnUnreadableHolderOrAMissingFolderIsAClearError) {
  std::ofstream(folder_.path() / "lock") << "\x01 not JSON";
  EXPECT_EQ(RefusalOf(), "no error");
  EXPECT_THROW(RunLock(folder_.path() / "none", kQuick), IoError);
}

}  // namespace
}  // namespace lcsc
