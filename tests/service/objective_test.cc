#include "lcsc/service/objective.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lcsc/base/error.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const MetricValues kValues = {{"fid", 8},          {"kid", 0.25},   {"inception_score", 3}, {"inception_score_std", 1},
                              {"precision", 0.75}, {"recall", 0.5}, {"f_score", 0.6},       {"score_mean", 20}};

std::string Refusal(const std::string& text) {
  return MessageOf<ConfigError>([&] { Objective objective(text); });
}

TEST(ObjectiveTest, OneMetricIsItselfAndEntersWithAMinusWhereHigherIsBetter) {
  EXPECT_EQ(Objective("fid").ValueOf(kValues), 8);
  EXPECT_EQ(Objective("kid").ValueOf(kValues), 0.25);
  EXPECT_EQ(Objective("inception_score").ValueOf(kValues), -3);
  EXPECT_EQ(Objective("precision").ValueOf(kValues), -0.75);
  EXPECT_EQ(Objective("recall").ValueOf(kValues), -0.5);
  EXPECT_EQ(Objective("f_score").ValueOf(kValues), -0.6);
  EXPECT_EQ(Objective("score").ValueOf(kValues), -20);
}

TEST(ObjectiveTest, AWeightedSum) {
  const Objective objective("fid:2, kid:100,inception_score:0.5");
  EXPECT_EQ(objective.ValueOf(kValues), 2 * 8 + 100 * 0.25 - 0.5 * 3);
  EXPECT_THAT(objective.metrics(), ElementsAre(Metric::kFid, Metric::kKid, Metric::kInceptionScore));
  EXPECT_EQ(Objective("precision:1,recall:2").ValueOf(kValues), -0.75 - 2 * 0.5);
  EXPECT_THAT(Objective("precision:1,recall:2").metrics(), ElementsAre(Metric::kPrecisionRecall));
}

TEST(ObjectiveTest, WhatIsNoObjectiveIsRefused) {
  EXPECT_THAT(Refusal("recal"), AllOf(HasSubstr("evaluation.objective"), HasSubstr("'recal'"), HasSubstr("'recall'?")));
  EXPECT_THAT(Refusal(""), HasSubstr("found nothing"));
  EXPECT_THAT(Refusal("fid,,kid"), HasSubstr("found ''"));
  EXPECT_THAT(Refusal("fid:1,kid:-2"), AllOf(HasSubstr("'kid:'"), HasSubstr("'-2'")));
  EXPECT_THAT(Refusal("fid:0"), HasSubstr("above 0"));
  EXPECT_THAT(Refusal("fid:nan"), HasSubstr("'nan'"));
  EXPECT_THAT(Refusal("fid:1e999"), HasSubstr("'1e999'"));
  EXPECT_THAT(Refusal("fid:1x"), HasSubstr("'1x'"));
  EXPECT_THAT(Refusal("fid:"), HasSubstr("''"));
  EXPECT_THAT(Refusal("fid:1,fid:2"), HasSubstr("twice"));
}

TEST(ObjectiveTest, MetricsSayWhatTheyNeed) {
  EXPECT_THAT(RequiredOptions(ParseMetrics({"fid"}, "--metrics")),
              ElementsAre("evaluation.extractor", "evaluation.reference"));
  EXPECT_THAT(RequiredOptions(ParseMetrics({"is"}, "--metrics")), ElementsAre("evaluation.extractor"));
  EXPECT_THAT(RequiredOptions(ParseMetrics({"score"}, "--metrics")), ElementsAre("evaluation.scorer"));
  EXPECT_THAT(RequiredOptions(ParseMetrics({"prc", "score"}, "--metrics")),
              ElementsAre("evaluation.extractor", "evaluation.reference", "evaluation.scorer"));
  EXPECT_THAT(MessageOf<ConfigError>([] {
                ParseMetrics({"fid", "pr"}, "--metrics");
              }),
              AllOf(HasSubstr("--metrics"), HasSubstr("'pr'"), HasSubstr("'prc'?")));
  EXPECT_THROW(CheckSampleCount({Metric::kInceptionScore}, 9), ConfigError);
  EXPECT_THROW(CheckSampleCount({Metric::kPrecisionRecall}, 3), ConfigError);
  EXPECT_NO_THROW(CheckSampleCount({Metric::kFid, Metric::kKid}, 2));
}

}  // namespace
}  // namespace lcsc
