#include "lcsc/base/stage_board.h"

#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <thread>

namespace lcsc {
namespace {

void Sleep(int milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

TEST(StageBoardTest, AStageEndsWithTheOneBeforeIt) {
  EXPECT_STREQ(OwnActivity().stage, "idle");
  {
    const StageScope outer("measure", 17);
    {
      const StageScope inner("sample");
      EXPECT_STREQ(OwnActivity().stage, "sample");
      EXPECT_EQ(OwnActivity().candidate_id, 17);
    }
    EXPECT_STREQ(OwnActivity().stage, "measure");
    EXPECT_EQ(OwnActivity().candidate_id, 17);
  }
  EXPECT_STREQ(OwnActivity().stage, "idle");
  EXPECT_EQ(OwnActivity().candidate_id, kNoCandidate);
}

TEST(StageBoardTest, WhoCatchesAnErrorStillSeesWhereItCameFrom) {
  std::thread([] {
    try {
      const StageScope outer("measure", 17);
      const StageScope inner("sample");
      throw std::runtime_error("");
    } catch (const std::exception&) {
      EXPECT_STREQ(OwnActivity().stage, "sample");
      EXPECT_EQ(OwnActivity().candidate_id, 17);
    }
    { const StageScope next("finish", 18); }
  }).join();
  EXPECT_STREQ(OldestActivity().stage, "idle") << "a thread's entry ends with it";
}

TEST(StageBoardTest, AnErrorThatIsCaughtInsideAStageLeavesNothingBehind) {
  {
    const StageScope outer("measure", 17);
    try {
      const StageScope inner("sample");
      throw std::runtime_error("");
    } catch (const std::exception&) {
    }
    const StageScope next("features");
    EXPECT_STREQ(OwnActivity().stage, "features");
  }
  EXPECT_STREQ(OwnActivity().stage, "idle");
}

TEST(StageBoardTest, TheOldestStageOfAllThreadsIsShown) {
  const std::uint64_t before = StageSteps();
  const StageScope own("finish", 1);
  Sleep(20);
  std::thread([] {
    const StageScope younger("sample", 2);
    EXPECT_STREQ(OldestActivity().stage, "finish");
    EXPECT_EQ(OldestActivity().candidate_id, 1);
    EXPECT_GE(OldestActivity().seconds, 0.02);
    EXPECT_STREQ(OwnActivity().stage, "sample");
    EXPECT_LT(OwnActivity().seconds, OldestActivity().seconds);
  }).join();
  EXPECT_EQ(StageSteps(), before + 3);
}

TEST(StageBoardTest, IdleSaysForHowLong) {
  { const StageScope scope("sample", 2); }
  Sleep(10);
  EXPECT_STREQ(OldestActivity().stage, "idle");
  EXPECT_GE(OldestActivity().seconds, 0.01);
  EXPECT_LT(OldestActivity().seconds, 10);
}

TEST(StageBoardTest, MoreThreadsThanEntriesGoWithout) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 100; ++i) {
    threads.emplace_back([] {
      const StageScope scope("sample", 3);
      Sleep(50);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_STREQ(OldestActivity().stage, "idle");
}

}  // namespace
}  // namespace lcsc
