#include "lcsc/base/living_process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <limits>

namespace lcsc {
namespace {

TEST(LivingProcessTest, AnotherProcessOfTheSameNumberIsNotTheOne) {
  const ProcessId own = IdentifyProcess(::getpid());
  ASSERT_GT(own.started, 0);
  EXPECT_EQ(IdentifyProcess(::getpid()).started, own.started);
  EXPECT_TRUE(IsAlive(own));
  EXPECT_TRUE(IsAlive({.pid = own.pid})) << "written down where starts are unknown";
  EXPECT_FALSE(IsAlive({.pid = own.pid, .started = own.started - 1}));
}

TEST(LivingProcessTest, NumbersOfNobodyAreDead) {
  for (const std::int64_t pid : {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::max(),
                                 std::int64_t{std::numeric_limits<pid_t>::max()}}) {
    EXPECT_FALSE(IsAlive({.pid = pid})) << pid;
    EXPECT_EQ(IdentifyProcess(pid).started, 0) << pid;
  }
}

// Process 1 is root's: a child that is nobody may not signal it.
TEST(LivingProcessTest, AnotherUsersProcessIsAlive) {
  if (::getuid() != 0) {
    EXPECT_TRUE(IsAlive({.pid = 1}));
    return;
  }
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::setuid(65534) == 0 && IsAlive(IdentifyProcess(1)) ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace lcsc
