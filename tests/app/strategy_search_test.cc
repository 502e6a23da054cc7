// Searches by strategies that have no test of their own: no layout of the ranks changes what they find.
#include <algorithm>
#include <cmath>

#include "app/tiny_project.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

struct Case {
  const char* name;
  Arguments options;
};

class StrategySearchTest : public ::testing::TestWithParam<Case> {
 protected:
  static void SetUpTestSuite() { project_ = new TinyProject; }
  static void TearDownTestSuite() { delete project_; }

  static Arguments Search(const std::string& run, const Arguments& more = {}) {
    const Arguments short_search = {"--set", "search.epochs=4",         "--set", "search.children=10",
                                    "--set", "search.max_parents=5",    "--set", "evaluation.num_samples=320",
                                    "--set", "evaluation.batch_size=20"};
    return project_->Search(run, short_search + GetParam().options + more);
  }
  static std::string RunName(const std::string& layout) { return GetParam().name + std::string("-") + layout; }

  static TinyProject* project_;
};
TinyProject* StrategySearchTest::project_ = nullptr;

TEST_P(StrategySearchTest, IsTheSameOnOneRankOnSeveralAndInGroups) {
  const std::string alone = RunName("alone"), ranks = RunName("ranks"), pairs = RunName("pairs");
  const Json expected = project_->CandidatesOf(Lcsc(Search(alone)), alone);
  EXPECT_GT(expected.size(), 40u);
  EXPECT_EQ(project_->CandidatesOf(MpiLcsc(3, Search(ranks)), ranks), expected);
  const Json found = project_->CandidatesOf(MpiLcsc(3, Search(pairs, {"--set", "run.group_size=2"})), pairs);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(found[i]["id"], expected[i]["id"]);
    EXPECT_EQ(found[i]["score"].is_null(), expected[i]["score"].is_null()) << expected[i];
    if (expected[i]["score"].is_null()) continue;
    const double score = expected[i]["score"].get<double>();
    EXPECT_NEAR(found[i]["score"].get<double>(), score, 1e-3 * std::abs(score)) << expected[i];
  }
}

INSTANTIATE_TEST_SUITE_P(
    Strategies, StrategySearchTest,
    testing::Values(Case{"Hybrid", {"--set", "search.strategy=hybrid", "--set", "search.gradient_steps=3"}},
                    Case{"CmaEs", {"--set", "search.strategy=cma-es"}},
                    Case{"Racing", {"--set", "search.racing=parents", "--set", "search.race_risk=0.2"}},
                    Case{"RacingForBest", {"--set", "search.racing=best", "--set", "search.race_risk=0.2"}}),
    [](const auto& tested) { return std::string(tested.param.name); });

using RaceTest = StrategySearchTest;
INSTANTIATE_TEST_SUITE_P(Risk, RaceTest,
                         testing::Values(Case{"Race",
                                              {"--set", "search.racing=parents", "--set", "search.race_risk=0.2"}}));

TEST_P(RaceTest, SaysHowMuchItDrew) {
  const CommandResult result = RunCommand(MpiLcsc(3, Search("race")));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("racing: "), HasSubstr("% of the samples were drawn")));
  const Json status = project_->Status("race");
  int stopped = 0;
  for (const Json& candidate : status["candidates"]) {
    if (!candidate["score"].is_null()) continue;
    ++stopped;
    EXPECT_FALSE(candidate.contains("failure"));
    EXPECT_TRUE(candidate["metrics"].contains("score_of_first_40")) << candidate;
  }
  EXPECT_GT(stopped, 0);
  const CommandResult list = RunCommand(Lcsc({"status", project_->Path("race"), "--candidates"}));
  EXPECT_THAT(list.out, HasSubstr("race lost"));
}

}  // namespace
}  // namespace lcsc
