#include "lcsc/base/crash_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "lcsc/base/process.h"
#include "lcsc/base/stage_board.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using ::testing::KilledBySignal;

class CrashReportDeathTest : public ::testing::Test {
 protected:
  // The line that a crash of candidate 17 on rank 3 leaves, but for the time at its end.
  static std::string Line(const std::string& signal_name) {
    return "17 " + signal_name + " in stage sample on rank 3 (" + HostName() + ")";
  }
  void Install() const {
    SetOwnRank(3);
    InstallCrashReport(folder_.path());
  }
  std::string Content() const {
    const std::string line = ReadBytes(folder_ / "crash-3.txt");
    const std::size_t end = line.rfind(" at ");
    const std::int64_t age_s = std::time(nullptr) - std::atoll(line.c_str() + end + 4);
    EXPECT_TRUE(line.ends_with('\n') && age_s >= 0 && age_s < 100) << line;
    return line.substr(0, end);
  }

  TempFolder folder_;
};

TEST_F(CrashReportDeathTest, EverySignalLeavesItsLineAndEndsTheProcess) {
  const std::pair<int, const char*> signals[] = {
      {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"}, {SIGFPE, "SIGFPE"}, {SIGILL, "SIGILL"}, {SIGABRT, "SIGABRT"}};
  for (const auto& [number, name] : signals) {
    EXPECT_EXIT(
        {
          Install();
          const StageScope scope("sample", 17);
          std::raise(number);
        },
        KilledBySignal(number), "lcsc: " + std::string(name) + " in stage sample on rank 3 .*, candidate 17");
    EXPECT_EQ(Content(), Line(name));
  }
}

TEST_F(CrashReportDeathTest, AnUncaughtErrorIsACrash) {
  EXPECT_EXIT(
      {
        Install();
        std::thread([] {
          const StageScope scope("sample", 17);
          throw std::runtime_error("nobody catches this");
        }).join();
      },
      KilledBySignal(SIGABRT), "nobody catches this");
  EXPECT_EQ(Content(), Line("SIGABRT"));
}

TEST_F(CrashReportDeathTest, WhatALibrarysThreadDoesBelongsToTheOldestStage) {
  EXPECT_EXIT(
      {
        Install();
        const StageScope scope("sample", 17);
        std::thread([] { std::raise(SIGSEGV); }).join();
      },
      KilledBySignal(SIGSEGV), "candidate 17");
  EXPECT_EQ(Content(), Line("SIGSEGV"));
}

TEST_F(CrashReportDeathTest, ACrashOfNoCandidateLeavesNoFile) {
  EXPECT_EXIT(
      {
        Install();
        const StageScope scope("set-up");
        std::raise(SIGSEGV);
      },
      KilledBySignal(SIGSEGV), "lcsc: SIGSEGV in stage set-up on rank 3");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "crash-3.txt"));
}

// As MPI's, which prints a stack trace.
TEST_F(CrashReportDeathTest, WhoHandledTheSignalBeforeIsCalledAfterwards) {
  EXPECT_EXIT(
      {
        std::signal(SIGSEGV, [](int) { std::_Exit(77); });
        Install();
        const StageScope scope("sample", 17);
        std::raise(SIGSEGV);
      },
      ::testing::ExitedWithCode(77), "candidate 17");
  EXPECT_EQ(Content(), Line("SIGSEGV"));
}

}  // namespace
}  // namespace lcsc
