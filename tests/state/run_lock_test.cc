#include "lcsc/state/run_lock.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "lcsc/base/error.h"
#include "support/temp_folder.h"

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

TEST_F(RunLockTest, AnUnreadableHolderOrAMissingFolderIsAClearError) {
  std::ofstream(folder_.path() / "lock") << "\x01 not JSON";
  EXPECT_EQ(RefusalOf(), "no error");
  EXPECT_THROW(RunLock(folder_.path() / "none", kQuick), IoError);
}

}  // namespace
}  // namespace lcsc
