// A search by gradients: what it asks for, that it survives as any other does, and that no layout changes it.
#include <algorithm>
#include <cmath>

#include "app/tiny_project.h"
#include "lcsc/base/error.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

class GradientSearchTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    project_ = new TinyProject;
    whole_ = new Json(project_->CandidatesOf(MpiLcsc(3, Search("whole")), "whole"));
  }
  static void TearDownTestSuite() {
    delete project_;
    delete whole_;
  }
  ~GradientSearchTest() override { ::unsetenv("LCSC_FAULTS"); }

  // Three EMA candidates, then two descents of four steps.
  static Arguments Search(const std::string& run, const Arguments& more = {}, int steps = 4) {
    const Arguments gradient = {
        "--set", "search.strategy=gradient", "--set", fmt::format("search.gradient_steps={}", steps),
        "--set", "search.starts=2",          "--set", "search.noise_blocks=2"};
    return project_->Search(run, gradient + more);
  }

  static TinyProject* project_;
  static Json* whole_;  // the candidates of the undisturbed search
};
TinyProject* GradientSearchTest::project_ = nullptr;
Json* GradientSearchTest::whole_ = nullptr;

TEST_F(GradientSearchTest, TakesGradientsOnOtherNoiseThanScores) {
  ASSERT_EQ(whole_->size(), 3u + 2 * (4 + 4));
  double best = INFINITY, best_ema = INFINITY;
  for (const Json& candidate : *whole_) {
    const bool is_step = candidate.contains("gradient");
    EXPECT_EQ(candidate.value("noise_block", 0) > 0, is_step) << candidate;
    const double score = candidate["score"].get<double>();
    if (!is_step) best = std::min(best, score);
    if (candidate.contains("ema_rate")) best_ema = std::min(best_ema, score);
  }
  const Json status = project_->Status("whole");
  EXPECT_EQ(status["best_score"].get<double>(), best);
  EXPECT_EQ(status["best_ema_score"].get<double>(), best_ema);
  EXPECT_EQ(status["state"], "done");
}

// Killed again and again, in every kind of evaluation.
TEST_F(GradientSearchTest, GoesOnBitForBitAfterKills) {
  for (const char* fault : {"stage.measure@2=kill", "stage.measure@3=kill", "stage.finish@8=kill",
                            "collective.broadcast@11=kill", "stage.measure@15=segv", "journal.sync#0=kill+1"}) {
    ::setenv("LCSC_FAULTS", fault, /*overwrite=*/1);
    Arguments command = MpiLcsc(3, Search("killed"));
    std::replace(command.begin(), command.end(), std::string(LCSC_BINARY), std::string(LCSC_FAULTY_BINARY));
    EXPECT_GE(RunCommand(command).exit_code, 128) << fault;
  }
  ::unsetenv("LCSC_FAULTS");
  const Json found = project_->CandidatesOf(MpiLcsc(3, Search("killed")), "killed");
  ExpectSameSearch(found, *whole_);
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_EQ(found[i].value("gradient", Json()), (*whole_)[i].value("gradient", Json()));
}

// Steps are long where slopes are small, so what differs in the last bits of a gradient grows from step to step.
TEST_F(GradientSearchTest, IsTheSameOnOneRankAndInGroups) {
  const auto expect_near = [](const Json& found, const Json& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const auto a = found[i]["coefficients"].get<std::vector<double>>();
      const auto b = expected[i]["coefficients"].get<std::vector<double>>();
      for (std::size_t k = 0; k < a.size(); ++k) EXPECT_NEAR(a[k], b[k], 1e-6) << "candidate " << i;
      const double score = expected[i]["score"].get<double>();
      EXPECT_NEAR(found[i]["score"].get<double>(), score, 1e-4 * score) << "candidate " << i;
    }
  };
  expect_near(project_->CandidatesOf(Lcsc(Search("alone")), "alone"), *whole_);
  const Arguments pairs = {"--set", "run.group_size=2"};
  expect_near(project_->CandidatesOf(MpiLcsc(3, Search("pairs", pairs)), "pairs"), *whole_);
}

TEST_F(GradientSearchTest, MoreStepsContinueAFinishedSearch) {
  project_->CandidatesOf(MpiLcsc(3, Search("longer", {}, 2)), "longer");
  ExpectSameSearch(project_->CandidatesOf(MpiLcsc(3, Search("longer")), "longer"), *whole_);
  const CommandResult again = RunCommand(MpiLcsc(3, Search("longer")));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, AllOf(HasSubstr("already finished"), HasSubstr("raise search.gradient_steps, at which")));
}

TEST_F(GradientSearchTest, TheTraceAndTheTableShowItsStages) {
  const std::string trace = project_->Path("trace.json");
  const CommandResult result = RunCommand(MpiLcsc(3, Search("traced", {"--trace", trace})));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("backward "), HasSubstr("project "), HasSubstr("gradients were taken on (block ")));
  EXPECT_THAT(ReadBytes(trace), AllOf(HasSubstr("\"backward\""), HasSubstr("\"project\"")));
}

TEST_F(GradientSearchTest, AnotherStrategyIsAnotherSearch) {
  const CommandResult result = RunCommand(Lcsc(project_->Search("whole")));
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(result.err, HasSubstr("cannot resume"));
}

TEST_F(GradientSearchTest, AnObjectiveWithoutDerivativesIsRefused) {
  const CommandResult result =
      RunCommand(Lcsc(Search("is", {"--set", "evaluation.objective=fid:1,inception_score:1"})));
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(result.err, HasSubstr("evaluation.objective: search.strategy: gradients expect"));
}

}  // namespace
}  // namespace lcsc
