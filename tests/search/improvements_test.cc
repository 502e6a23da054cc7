#include "lcsc/search/improvements.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lcsc {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

EvaluatedCandidate Scored(std::int64_t id, std::optional<double> score, bool wants_gradient = false) {
  EvaluatedCandidate member;
  member.candidate.id = id;
  member.candidate.wants_gradient = wants_gradient;
  member.outcome.score = score;
  return member;
}

TEST(ImprovementsTest, AreThoseThatWereBetterThanAllBefore) {
  const std::vector<EvaluatedCandidate> population = {Scored(0, std::nullopt),
                                                      Scored(1, 5),
                                                      Scored(2, 5),
                                                      Scored(3, 7),
                                                      Scored(4, 1, /*wants_gradient=*/true),
                                                      Scored(5, 3)};
  std::vector<std::pair<std::int64_t, std::int64_t>> found;
  for (const auto& [evaluations, member] : ImprovementsOf(population)) {
    found.emplace_back(evaluations, member->candidate.id);
  }
  EXPECT_THAT(found, ElementsAre(Pair(2, 1), Pair(6, 5)));
  EXPECT_EQ(ImprovementsOf(population).back().member, BestOf(population));
  EXPECT_TRUE(ImprovementsOf({}).empty());
}

}  // namespace
}  // namespace lcsc
