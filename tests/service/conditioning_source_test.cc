#include "lcsc/service/conditioning_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lcsc/base/error.h"
#include "lcsc/io/safetensors.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ConditioningSourceTest : public ::testing::Test {
 protected:
  ConditioningSource Source(const NamedTensors& tensors) const {
    WriteSafetensors(folder_ / "c.safetensors", tensors);
    return ConditioningSource(folder_ / "c.safetensors");
  }
  std::string Refusal(const NamedTensors& tensors) const {
    return MessageOf<InputError>([&] { Source(tensors).Of({0, 4}, 3); });
  }
  static at::Tensor Whole(std::vector<std::int64_t> values) { return at::tensor(values, at::kLong); }

  TempFolder folder_;
};

TEST_F(ConditioningSourceTest, WithoutAFileLabelsFollowTheSampleIndex) {
  const Conditioning of = ConditioningSource("").Of({2, 5}, 3);
  EXPECT_TRUE(of.labels.argmax(1).equal(Whole({2, 0, 1})));
  EXPECT_TRUE(of.tensors.empty());
  EXPECT_FALSE(ConditioningSource().Of({2, 5}, 0).labels.defined());
}

TEST_F(ConditioningSourceTest, SampleJHasRowJModuloTheRows) {
  const at::Tensor text = at::arange(6, at::kFloat).view({3, 2});
  const ConditioningSource source = Source({{"text", text.to(at::kHalf)}, {"ids", Whole({7, 8, 9})}});
  const Conditioning of = source.Of({4, 7}, 0);
  EXPECT_EQ(of.tensors.at("text").scalar_type(), at::kFloat);
  EXPECT_TRUE(of.tensors.at("text").equal(text.index_select(0, Whole({1, 2, 0}))));
  EXPECT_TRUE(of.tensors.at("ids").equal(Whole({8, 9, 7})));
  EXPECT_FALSE(of.labels.defined());
}

TEST_F(ConditioningSourceTest, LabelsOfTheFileTakeThePlaceOfTheDefault) {
  const at::Tensor expected = at::one_hot(Whole({1, 2, 2, 1}), 3).to(at::kFloat);
  const Conditioning classes = Source({{"labels", Whole({2, 1, 2})}}).Of({1, 5}, 3);
  EXPECT_TRUE(classes.labels.equal(expected));
  EXPECT_TRUE(Source({{"class_labels", Whole({2, 1, 2})}}).Of({1, 5}, 3).labels.equal(expected));
  EXPECT_THAT(Refusal({{"labels", Whole({2, 1})}, {"class_labels", Whole({2, 1})}}), HasSubstr("both"));
  EXPECT_TRUE(classes.tensors.empty());
  const at::Tensor one_hot = at::one_hot(Whole({2, 1, 2}), 3).to(at::kFloat);
  EXPECT_TRUE(Source({{"labels", one_hot}}).Of({1, 5}, 3).labels.equal(expected));
  EXPECT_TRUE(Source({{"labels", one_hot}}).WithoutClasses({0, 1}).tensors.empty());
  EXPECT_TRUE(Source({{"labels", one_hot}}).WithoutClasses({1, 5}).labels.equal(expected));
  EXPECT_FALSE(Source({{"labels", Whole({2, 1, 2})}}).WithoutClasses({1, 5}).labels.defined());
  EXPECT_FALSE(Source({{"labels", one_hot}}).Of({1, 5}, 0).labels.defined());
}

TEST_F(ConditioningSourceTest, FilesThatDoNotFitAreRefused) {
  EXPECT_THAT(Refusal({}), HasSubstr("found none"));
  EXPECT_THAT(Refusal({{"a", at::ones({3, 2})}, {"b", at::ones({4, 2})}}),
              AllOf(HasSubstr("c.safetensors"), HasSubstr("expected 3 rows"), HasSubstr("found 4 in b")));
  EXPECT_THAT(Refusal({{"a", at::ones({})}}), HasSubstr("tensor a is []"));
  EXPECT_THAT(Refusal({{"a", at::ones({0, 3})}}), HasSubstr("m >= 1"));
  EXPECT_THAT(Refusal({{"a", at::full({2}, std::nanf(""))}}), HasSubstr("not finite"));
  EXPECT_THAT(Refusal({{"labels", Whole({0, 3})}}), AllOf(HasSubstr("[0, 3)"), HasSubstr("found 0 to 3")));
  EXPECT_THAT(Refusal({{"labels", Whole({-1, 2})}}), HasSubstr("found -1 to 2"));
  EXPECT_THAT(Refusal({{"labels", at::ones({2, 4})}}), AllOf(HasSubstr("F32 [2, 4]"), HasSubstr("[m, 3]")));
  EXPECT_THAT(MessageOf<InputError>([&] { ConditioningSource(folder_ / "none"); }), HasSubstr("none"));
}

TEST_F(ConditioningSourceTest, WhatNobodyTakesIsNamed) {
  const ConditioningSource source = Source({{"text", at::ones({2, 3})}, {"class_labels", Whole({0, 1})}});
  EXPECT_NO_THROW(source.CheckTaken({"labels", "style", "text"}, ""));
  EXPECT_THAT(MessageOf<InputError>([&] { source.CheckTaken({"labels"}, "the network takes labels"); }),
              AllOf(HasSubstr("c.safetensors"), HasSubstr("tensor text: the network takes labels;"),
                    HasSubstr("evaluation.conditioning")));
  EXPECT_THAT(MessageOf<InputError>([&] { source.CheckTaken({"text"}, ""); }), HasSubstr("tensor labels"));
  EXPECT_NO_THROW(ConditioningSource("").CheckTaken({}, ""));
}

}  // namespace
}  // namespace lcsc
