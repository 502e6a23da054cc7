#include "lcsc/metric/precision_recall.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "lcsc/base/error.h"
#include "metric/recorded_features.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

double SquaredDistance(const at::Tensor& x, std::int64_t i, const at::Tensor& y, std::int64_t j) {
  double sum = 0;
  for (std::int64_t c = 0; c < x.size(1); ++c) {
    const double difference = x.data_ptr<double>()[i * x.size(1) + c] - y.data_ptr<double>()[j * y.size(1) + c];
    sum += difference * difference;
  }
  return sum;
}

// The share of x inside the manifold of y, point by point as the definition is written.
double ShareInside(const at::Tensor& x_any, const at::Tensor& y_any, std::size_t k) {
  const at::Tensor x = x_any.to(at::kDouble).contiguous(), y = y_any.to(at::kDouble).contiguous();
  std::vector<double> radii;
  for (std::int64_t i = 0; i < y.size(0); ++i) {
    std::vector<double> others;
    for (std::int64_t j = 0; j < y.size(0); ++j) {
      if (j != i) others.push_back(SquaredDistance(y, i, y, j));
    }
    std::sort(others.begin(), others.end());
    radii.push_back(others[k - 1]);
  }
  double inside = 0;
  for (std::int64_t i = 0; i < x.size(0); ++i) {
    bool found = false;
    for (std::int64_t j = 0; j < y.size(0) && !found; ++j) {
      found = SquaredDistance(x, i, y, j) <= radii[static_cast<std::size_t>(j)];
    }
    inside += found ? 1 : 0;
  }
  return inside / static_cast<double>(x.size(0));
}

void ExpectDefinition(const at::Tensor& generated, const at::Tensor& reference, int k = 3) {
  const PrecisionRecall found = ImprovedPrecisionRecall(generated, reference, k);
  EXPECT_DOUBLE_EQ(found.precision, ShareInside(generated, reference, static_cast<std::size_t>(k)));
  EXPECT_DOUBLE_EQ(found.recall, ShareInside(reference, generated, static_cast<std::size_t>(k)));
}

// Of both widths: what is stored as float32 is compared with what is stored as float64.
TEST(PrecisionRecallReference, ServesManyCandidatesOfAnyType) {
  at::manual_seed(7);
  const at::Tensor features = at::randn({70, 3});
  const PrecisionRecallReference reference(features, 2);
  for (const double shift : {0.0, 1.5, 0.0}) {
    const at::Tensor generated = at::randn({50, 3}, at::kDouble) + shift;
    for (const at::Tensor& given : {generated, generated.to(at::kFloat)}) {
      const PrecisionRecall found = reference.Compare(given);
      EXPECT_DOUBLE_EQ(found.precision, ShareInside(given, features, 2));
      EXPECT_DOUBLE_EQ(found.recall, ShareInside(features, given, 2));
    }
  }
}

// The recorded values come from torch-fidelity called with (A, B). It takes its first set for the real one, so its
// "precision" is the share of B's 1500 points in A's manifold: the recall of generated A and reference B.
TEST_F(RecordedFeatures, HaveTheirRecordedPrecisionAndRecallToThePoint) {
  const PrecisionRecall found = ImprovedPrecisionRecall(a_, b_);
  std::printf("inside: %.10g of 1200 generated, %.10g of 1500 reference\n", found.precision * 1200,
              found.recall * 1500);
  EXPECT_DOUBLE_EQ(found.precision, 1097.0 / 1200);
  EXPECT_DOUBLE_EQ(found.recall, 1014.0 / 1500);
  ExpectRecorded("torch_fidelity.recall (reference=B, generated=A, k=3)", found.precision);
  ExpectRecorded("torch_fidelity.precision (reference=B, generated=A, k=3)", found.recall);
  ExpectRecorded("torch_fidelity.f_score (reference=B, generated=A, k=3)", found.f_score);
}

TEST(PrecisionRecall, AreWhatTheyAreForPointsOnALine) {
  const auto line = [](const std::vector<double>& points) {
    return at::tensor(at::ArrayRef<double>(points)).view({-1, 1});
  };
  // k = 1. Reference radii: 1, 1, 7; generated radii: 0.5, 0.5, 90.5. 9.5 is just outside of no ball: |10 - 9.5| <= 7.
  const PrecisionRecall found = ImprovedPrecisionRecall(line({9, 9.5, 100}), line({1, 2, 9}), 1);
  EXPECT_DOUBLE_EQ(found.precision, 2.0 / 3);
  EXPECT_DOUBLE_EQ(found.recall, 1.0 / 3);  // 9 alone: 2 is farther than 90.5 from 100
  EXPECT_DOUBLE_EQ(found.f_score, 4.0 / 9);
  // On the surface is inside: 3 lies at distance 1 of 2, whose nearest neighbour lies at distance 1.
  EXPECT_DOUBLE_EQ(ImprovedPrecisionRecall(line({3, -50}), line({1, 2}), 1).precision, 0.5);
  const PrecisionRecall apart = ImprovedPrecisionRecall(line({100, 101}), line({1, 2}), 1);
  EXPECT_EQ(apart.precision + apart.recall + apart.f_score, 0);
}

TEST(PrecisionRecall, AreTheDefinitionForOtherSizesAcrossBlocks) {
  at::manual_seed(3);
  ExpectDefinition(at::randn({1100, 4}), at::randn({1030, 4}) * 1.2 + 0.3);
  ExpectDefinition(at::randn({30, 100}), at::randn({25, 100}), 1);
  ExpectDefinition(at::randn({40, 8}).to(at::kHalf), at::randn({50, 8}, at::kDouble), 5);
}

// Nearly every distance is a tie: only exact ones are told apart rightly.
TEST(PrecisionRecall, CountTiesOnAGridFarFromTheOriginAsInside) {
  at::manual_seed(4);
  const at::Tensor generated = at::randint(0, 6, {300, 3}).to(at::kFloat) + 1e5;
  const at::Tensor reference = at::randint(0, 6, {280, 3}).to(at::kFloat) + 1e5;
  ExpectDefinition(generated, reference);
  ExpectDefinition(generated * 0.1, reference * 0.1);
}

TEST(PrecisionRecall, AreTheDefinitionForDuplicatesAndConstantFeatures) {
  at::manual_seed(5);
  const at::Tensor few = at::randn({20, 6});
  const at::Tensor generated = few.repeat({10, 1}), reference = at::cat({few.slice(0, 0, 10).repeat({8, 1}), few + 1});
  ExpectDefinition(generated, reference);
  at::Tensor constant = at::randn({60, 5});
  constant.select(1, 2).fill_(1e6);
  ExpectDefinition(constant, constant + at::randn({60, 5}) * 1e-3);
  const PrecisionRecall same = ImprovedPrecisionRecall(at::ones({40, 3}), at::ones({50, 3}));
  EXPECT_EQ(same.precision, 1);
  EXPECT_EQ(same.recall, 1);
}

// More points within rounding of the k-th neighbour than are kept: all are compared.
TEST(PrecisionRecall, FindTheRadiusAmongManyNeighboursThatRoundingCannotTellApart) {
  at::manual_seed(6);
  const at::Tensor generated = at::randn({60, 4}, at::kDouble) * 1e-9;
  const at::Tensor far = at::full({1, 4}, 1e3, at::kDouble);
  ExpectDefinition(at::cat({generated, far}), at::cat({at::randn({50, 4}, at::kDouble) * 1e-9, -far}));
}

TEST(PrecisionRecall, RefuseWhatTheyCannotCompareInWords) {
  const auto refusal = [](const at::Tensor& x, const at::Tensor& y, int k) {
    return MessageOf<MetricError>([&] { ImprovedPrecisionRecall(x, y, k); });
  };
  EXPECT_THAT(refusal(at::ones({3, 2}), at::ones({9, 2}), 3), AllOf(HasSubstr("generated"), HasSubstr("at least 4")));
  EXPECT_THAT(refusal(at::ones({9, 2}), at::ones({9, 3}), 3), AllOf(HasSubstr("has 3")));
  EXPECT_THAT(refusal(at::ones({9, 2}), at::ones({9, 2}), 0), HasSubstr("k of at least 1"));
  EXPECT_THAT(refusal(at::full({9, 2}, 1e200, at::kDouble), at::eye(9, at::kDouble).slice(1, 0, 2), 3),
              HasSubstr("overflow"));
  EXPECT_THAT(refusal(at::ones({9, 2}), at::full({9, 2}, std::numeric_limits<float>::quiet_NaN()), 3),
              AllOf(HasSubstr("reference"), HasSubstr("row 0, column 0")));
}

}  // namespace
}  // namespace lcsc
