// One search, however its ranks are arranged.
#include "app/tiny_project.h"

namespace lcsc {
namespace {

class SearchLayoutsTest : public ::testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() {
    project_ = new TinyProject;
    project_->WriteConfig("bf16.ini", "bf16.traj");
    project_->WriteConfig("f32.ini", "f32.traj");
    project_->Pack("bf16", "bf16.traj");
  }
  static void TearDownTestSuite() { delete project_; }

  // A new run of the same search in this storage type.
  std::string run(const std::string& name) const { return GetParam() + "-" + name; }
  Arguments Search(const std::string& name, const Arguments& more = {}) const {
    return project_->Search(run(name), more, GetParam() + ".ini");
  }
  nlohmann::json Alone(const std::string& name) const { return project_->CandidatesOf(Lcsc(Search(name)), run(name)); }
  nlohmann::json Ranks(int ranks, const std::string& name, const Arguments& more = {}) const {
    return project_->CandidatesOf(MpiLcsc(ranks, Search(name, more)), run(name));
  }

  static TinyProject* project_;
};
TinyProject* SearchLayoutsTest::project_ = nullptr;

TEST_P(SearchLayoutsTest, TheSameCommandGivesTheSameBits) {
  const nlohmann::json first = Ranks(3, "first");
  EXPECT_EQ(first.size(), 15u);
  EXPECT_EQ(Ranks(3, "second"), first);
}

TEST_P(SearchLayoutsTest, RanksThatShareTheShardAndTheSamplesGiveTheSameSearch) {
  const nlohmann::json alone = Alone("alone");
  const Arguments pairs = {"--set", "run.group_size=2"};
  ExpectSameSearch(Ranks(3, "1-pair", pairs), alone);
  ExpectSameSearch(Ranks(5, "2-pairs", pairs), alone);
}

INSTANTIATE_TEST_SUITE_P(Storage, SearchLayoutsTest, ::testing::Values("f32", "bf16"),
                         [](const auto& storage) { return storage.param; });

class SearchWorkersTest : public SearchLayoutsTest {};

TEST_P(SearchWorkersTest, AnyNumberOfWorkersGivesTheSameSearch) {
  const nlohmann::json alone = Alone("alone");
  EXPECT_EQ(Ranks(1, "one-rank"), alone);
  ExpectSameSearch(Ranks(2, "1-worker"), alone);
  ExpectSameSearch(Ranks(3, "2-workers"), alone);
  ExpectSameSearch(Ranks(5, "4-workers"), alone);
}

TEST_P(SearchWorkersTest, AnotherSeedGivesAnotherSearch) {
  const nlohmann::json one = Alone("seed-1");
  const Arguments other = Search("seed-2", {"--set", "search.seed=2"});
  const nlohmann::json two = project_->CandidatesOf(Lcsc(other), run("seed-2"));
  EXPECT_EQ(two[0], one[0]);
  EXPECT_NE(two.back()["coefficients"], one.back()["coefficients"]);
}

INSTANTIATE_TEST_SUITE_P(Storage, SearchWorkersTest, ::testing::Values("f32"),
                         [](const auto& storage) { return storage.param; });

}  // namespace
}  // namespace lcsc
