#include "lcsc/metric/inception_score.h"

#include <gmock/gmock.h>

#include <limits>
#include <vector>

#include "lcsc/base/error.h"
#include "metric/recorded_features.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST_F(RecordedFeatures, HaveTheirRecordedInceptionScore) {
  const MeanStd score = InceptionScore(file_.Read("logits"));
  ExpectRecorded("inception_score_unshuffled_10_splits", score.mean);
  ExpectRecorded("inception_score_std", score.std);
}

TEST(InceptionScore, IsTheNumberOfClassesWhenEveryClassIsCertainAndEquallyFrequent) {
  const MeanStd score = InceptionScore(at::eye(7) * 2000, /*splits=*/1);
  EXPECT_NEAR(score.mean, 7, 1e-12);
  EXPECT_EQ(score.std, 0);
}

TEST(InceptionScore, IsOneWhenAllImagesLookAlike) {
  EXPECT_NEAR(InceptionScore(at::randn({1, 9}).expand({40, 9}), 4).mean, 1, 1e-12);
  EXPECT_NEAR(InceptionScore(at::randn({40, 1}), 4).mean, 1, 1e-12);
}

// 7 rows in 3 parts: rows 0-1, 2-3, 4-6. A part of certain, different classes scores their number.
TEST(InceptionScore, CutsTheRowsInTheirOrderWhenTheyDoNotDivide) {
  const std::vector<std::int64_t> classes = {0, 1, 2, 2, 0, 1, 3};
  at::Tensor logits = at::zeros({7, 4});
  for (std::int64_t i = 0; i < 7; ++i) logits[i][classes[static_cast<std::size_t>(i)]] = 5000;
  const MeanStd score = InceptionScore(logits, 3);
  EXPECT_NEAR(score.mean, (2 + 1 + 3) / 3.0, 1e-12);
  EXPECT_NEAR(score.std, std::sqrt(2.0 / 3), 1e-12);
}

TEST(InceptionScore, IsTheDefinitionAcrossBlocks) {
  at::manual_seed(2);
  const at::Tensor logits = at::randn({9000, 5}, at::kDouble) * 2;
  const at::Tensor p = logits.softmax(1);
  const at::Tensor divergence = (p * (p.log() - p.mean(0, true).log())).sum(1).mean();
  EXPECT_NEAR(InceptionScore(logits, 1).mean, std::exp(divergence.item<double>()), 1e-10);
  EXPECT_NEAR(InceptionScore(logits + 300, 1).mean, std::exp(divergence.item<double>()), 1e-10);
}

TEST(InceptionScore, RefusesTooFewRowsAndNumbersThatAreNotFinite) {
  EXPECT_THAT(MessageOf<MetricError>([] {
                InceptionScore(at::ones({9, 4}));
              }),
              AllOf(HasSubstr("logits"), HasSubstr("at least 10 rows, found 9")));
  at::Tensor broken = at::ones({20, 4});
  broken[3][1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(MessageOf<MetricError>([&] { InceptionScore(broken); }), HasSubstr("row 3, column 1"));
  EXPECT_THAT(MessageOf<MetricError>([] { InceptionScore(at::ones({9, 4}), 0); }), HasSubstr("at least 1 split"));
}

}  // namespace
}  // namespace lcsc
