#include "lcsc/base/philox.h"

#include <gmock/gmock.h>

#include <cmath>
#include <set>
#include <vector>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

using ::testing::ElementsAre;

// The known answers that Random123 publishes for philox4x32-10.
TEST(PhiloxTest, GivesTheKnownAnswersOfRandom123) {
  EXPECT_THAT(Philox4x32({0, 0, 0, 0}, {0, 0}), ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_THAT(Philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
              ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  EXPECT_THAT(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
              ElementsAre(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

TEST(RandomStreamTest, BeginsWithTheBlockOfItsIdentity) {
  RandomStream stream({.purpose = RandomPurpose::kTest, .seed = 0x123456789abcdef0, .index = 42, .part = 3});
  const auto block = Philox4x32({0, 42, 3 | (7u << 24), 0}, {0x9abcdef0, 0x12345678});
  for (const std::uint32_t expected : block) EXPECT_EQ(stream.NextBits(), expected);
}

TEST(RandomStreamTest, EveryPartOfTheIdentityMakesAnotherStream) {
  const RandomStream::Id ids[] = {
      {.purpose = RandomPurpose::kTest, .seed = 1, .index = 1, .part = 1},
      {.purpose = RandomPurpose::kCandidate, .seed = 1, .index = 1, .part = 1},
      {.purpose = RandomPurpose::kTest, .seed = std::uint64_t{1} << 32, .index = 1, .part = 1},
      {.purpose = RandomPurpose::kTest, .seed = 1, .index = 2, .part = 1},
      {.purpose = RandomPurpose::kTest, .seed = 1, .index = 1, .part = 2}};
  std::set<std::uint32_t> first_bits;
  for (const RandomStream::Id& id : ids) first_bits.insert(RandomStream(id).NextBits());
  EXPECT_EQ(first_bits.size(), std::size(ids));
}

TEST(RandomStreamTest, AnIdentityThatDoesNotFitIsRefused) {
  EXPECT_THROW(RandomStream({.purpose = RandomPurpose::kTest, .index = std::uint64_t{1} << 32}), InvariantError);
  EXPECT_THROW(RandomStream({.purpose = RandomPurpose::kTest, .part = 1u << 24}), InvariantError);
}

// Compares the first four moments of n standard normals with theirs: 0, 1, 0, 3. The standard errors are
// 1/sqrt(n), sqrt(2/n), sqrt(15/n) and sqrt(96/n); five of them are allowed.
void ExpectStandardNormalMoments(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  double moments[4] = {};
  for (const double value : values) {
    double power = 1;
    for (double& moment : moments) moment += (power *= value) / n;
  }
  EXPECT_NEAR(moments[0], 0, 5 / std::sqrt(n));
  EXPECT_NEAR(moments[1], 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(moments[2], 0, 5 * std::sqrt(15 / n));
  EXPECT_NEAR(moments[3], 3, 5 * std::sqrt(96 / n));
}

TEST(RandomStreamTest, NextNormalHasTheMomentsOfANormal) {
  RandomStream stream({.purpose = RandomPurpose::kTest, .seed = 11});
  std::vector<double> values(200'000);
  for (double& value : values) value = stream.NextNormal();
  ExpectStandardNormalMoments(values);
}

TEST(RandomStreamTest, FillNormalHasTheMomentsOfANormalAndNoCorrelationOfNeighbours) {
  RandomStream stream({.purpose = RandomPurpose::kTest, .seed = 12});
  std::vector<float> values(200'001);
  stream.FillNormal(values);
  ExpectStandardNormalMoments({values.begin(), values.end()});
  double covariance = 0;
  for (std::size_t i = 0; i + 1 < values.size(); ++i) covariance += static_cast<double>(values[i]) * values[i + 1];
  const auto n = static_cast<double>(values.size());
  EXPECT_NEAR(covariance / n, 0, 5 / std::sqrt(n));
}

TEST(RandomStreamTest, NextUniformStaysInsideAndHasItsMeanAndVariance) {
  RandomStream stream({.purpose = RandomPurpose::kTest, .seed = 13});
  constexpr int kCount = 100'000;
  double sum = 0, sum_of_squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double value = stream.NextUniform();
    ASSERT_GT(value, 0);
    ASSERT_LT(value, 1);
    sum += value;
    sum_of_squares += value * value;
  }
  EXPECT_NEAR(sum / kCount, 0.5, 5 * std::sqrt(1.0 / 12 / kCount));
  EXPECT_NEAR(sum_of_squares / kCount, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / kCount));
}

TEST(RandomStreamTest, NextBelowReachesEveryValueEquallyOften) {
  RandomStream stream({.purpose = RandomPurpose::kTest, .seed = 14});
  constexpr std::uint64_t kBound = 7;
  constexpr int kCount = 70'000;
  std::vector<int> counts(kBound);
  for (int i = 0; i < kCount; ++i) {
    const std::uint64_t value = stream.NextBelow(kBound);
    ASSERT_LT(value, kBound);
    ++counts[value];
  }
  const double expected = static_cast<double>(kCount) / kBound;
  for (const int count : counts) EXPECT_NEAR(count, expected, 5 * std::sqrt(expected));
}

TEST(RandomStreamTest, NextBelowKeepsToTheEndsOfItsRange) {
  RandomStream stream({.purpose = RandomPurpose::kTest, .seed = 15});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(stream.NextBelow(1), 0u);
  constexpr std::uint64_t kHuge = (std::uint64_t{1} << 63) + 1;
  std::uint64_t largest = 0;
  for (int i = 0; i < 1000; ++i) largest = std::max(largest, stream.NextBelow(kHuge));
  EXPECT_LT(largest, kHuge);
  EXPECT_GT(largest, kHuge / 2);
  EXPECT_THROW(stream.NextBelow(0), InvariantError);
}

}  // namespace
}  // namespace lcsc
