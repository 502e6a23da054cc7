#include "lcsc/base/stop_signal.h"

#include <gtest/gtest.h>

#include <csignal>

namespace lcsc {
namespace {

TEST(StopSignalTest, ASignalSetsTheFlagAndKeepsItsName) {
  InstallStopSignals();
  EXPECT_FALSE(StopRequested());
  EXPECT_STREQ(StopSignalName(), "");
  std::raise(SIGUSR1);
  EXPECT_TRUE(StopRequested());
  EXPECT_STREQ(StopSignalName(), "SIGUSR1");
  SetStopRequested(false);
  EXPECT_FALSE(StopRequested());
}

TEST(StopSignalDeathTest, ASecondInterruptEndsTheProgram) {
  EXPECT_EXIT(
      {
        InstallStopSignals();
        std::raise(SIGINT);
        std::raise(SIGINT);
      },
      testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace lcsc
