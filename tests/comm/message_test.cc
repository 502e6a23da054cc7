#include "lcsc/comm/message.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lcsc/base/error.h"
#include "lcsc/comm/group.h"

namespace lcsc {
namespace {

TEST(MessageTest, ACandidateArrivesAsItWasSent) {
  Candidate candidate;
  candidate.id = 1234567890123;
  for (int i = 0; i < 400; ++i) candidate.coefficients.push_back(std::sin(i) * 1e-3);
  const auto received = UnpackCandidate(PackCandidate(candidate));
  ASSERT_TRUE(received.has_value());
  EXPECT_EQ(received->id, candidate.id);
  EXPECT_EQ(received->coefficients, candidate.coefficients);
}

TEST(MessageTest, TheEndOfWorkIsNoCandidate) { EXPECT_FALSE(UnpackCandidate(PackCandidate(std::nullopt)).has_value()); }

TEST(MessageTest, AnOutcomeArrivesAsItWasSent) {
  OutcomeMessage message{.candidate_id = 7, .outcome = {.score = 0.1, .failure = "", .seconds = {}}};
  message.outcome.seconds.sample = 0.25;
  message.outcome.metrics = {{"fid", 0.75}, {"inception_score_std", -1e-300}};
  OutcomeMessage received = UnpackOutcome(PackOutcome(message));
  EXPECT_EQ(received.candidate_id, 7);
  EXPECT_EQ(received.outcome.score, 0.1);
  EXPECT_EQ(received.outcome.seconds.sample, 0.25);
  EXPECT_EQ(received.outcome.metrics, message.outcome.metrics);
  EXPECT_EQ(received.outcome.failure, "");

  message.outcome = {.score = {}, .failure = "non-finite images", .seconds = {}};
  received = UnpackOutcome(PackOutcome(message));
  EXPECT_FALSE(received.outcome.score.has_value());
  EXPECT_EQ(received.outcome.failure, "non-finite images");
}

TEST(MessageTest, ATruncatedMessageIsRefused) {
  auto bytes = PackOutcome({.candidate_id = 7, .outcome = {}});
  bytes.resize(10);
  EXPECT_THROW(UnpackOutcome(bytes), InvariantError);
}

TEST(SplitEvenlyTest, PartsAreAdjacentAndDifferByAtMostOne) {
  const auto parts = SplitEvenly(10, 4);
  ASSERT_EQ(parts.size(), 4u);
  std::int64_t end = 0;
  for (const Part& part : parts) {
    EXPECT_EQ(part.begin, end);
    EXPECT_TRUE(part.size() == 2 || part.size() == 3);
    end = part.end;
  }
  EXPECT_EQ(end, 10);
}

TEST(PlanGroupsTest, GroupsAreNeighboursBehindTheMaster) {
  const GroupLayout layout = PlanGroups(std::vector<int>(7, 0), 3);
  EXPECT_EQ(layout.num_groups, 2);
  EXPECT_EQ(layout.leaders, (std::vector<int>{1, 4}));
  EXPECT_EQ(layout.group_of, (std::vector<int>{-1, 0, 0, 0, 1, 1, 1}));
}

// Two nodes with the master and three workers, and four workers: the odd ones meet across the nodes.
TEST(PlanGroupsTest, GroupsFillANodeBeforeTheyCrossToAnother) {
  const GroupLayout layout = PlanGroups(std::vector<int>{0, 0, 0, 0, 4, 4, 4, 4, 4}, 2);
  EXPECT_EQ(layout.group_of, (std::vector<int>{-1, 0, 0, 1, 2, 2, 3, 3, 1}));
  EXPECT_EQ(layout.leaders, (std::vector<int>{1, 3, 4, 6}));
}

// Ranks dealt out to nodes in turn.
TEST(PlanGroupsTest, NeighboursAreOfOneNodeNotOfAdjacentRank) {
  const GroupLayout layout = PlanGroups(std::vector<int>{0, 1, 0, 1, 0}, 2);
  EXPECT_EQ(layout.group_of, (std::vector<int>{-1, 0, 1, 0, 1}));
}

TEST(PlanGroupsTest, RefusesWorkersThatDoNotDivide) {
  EXPECT_THROW(PlanGroups(std::vector<int>(4, 0), 2), ConfigError);
  EXPECT_THROW(PlanGroups(std::vector<int>(2, 0), 2), ConfigError);
}

}  // namespace
}  // namespace lcsc
