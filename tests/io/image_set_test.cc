#include "lcsc/io/image_set.h"

#include <gmock/gmock.h>

#include "lcsc/base/error.h"
#include "lcsc/io/npz.h"
#include "lcsc/io/png.h"
#include "lcsc/io/safetensors.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ImageSetTest : public ::testing::Test {
 protected:
  std::string RefusalOfCsv(const std::string& text) {
    WriteBytes(folder_ / "x.csv", text);
    return MessageOf<InputError>([&] { ReadImageSet(folder_ / "x.csv"); });
  }

  TempFolder folder_;
};

TEST_F(ImageSetTest, ReadsTheDigits) {
  const ImageSet set = ReadImageSet(std::filesystem::path(LCSC_SOURCE_DIR) / "configs/data/digits.csv.gz");
  EXPECT_EQ(set.images.sizes(), (at::IntArrayRef{1797, 1, 8, 8}));
  EXPECT_EQ(set.images[0][0][0][2].item<int>(), 80);  // 5 of 16: round(5 * 255 / 16) = round(79.69)
  EXPECT_EQ(set.labels[1].item<int>(), 1);
  EXPECT_EQ(at::bincount(set.labels)[0].item<int>(), 178);  // zeros in the published test set
}

TEST_F(ImageSetTest, ReadsPlainCsvWithAnyLineEnds) {
  WriteBytes(folder_ / "x.csv", "0,16,8,1,3\r\n\n16,0,0,0,9");
  const ImageSet set = ReadImageSet(folder_ / "x.csv");
  EXPECT_TRUE(at::equal(set.images, at::tensor({0, 255, 128, 16, 255, 0, 0, 0}, at::kByte).reshape({2, 1, 2, 2})));
  EXPECT_TRUE(at::equal(set.labels, at::tensor({3, 9}, at::kLong)));
}

TEST_F(ImageSetTest, RefusesBadRowsByTheirNumber) {
  EXPECT_THAT(RefusalOfCsv("0,1,2,3,0\n0,1,2,x,0\n"), AllOf(HasSubstr("row 2"), HasSubstr("value 4")));
  EXPECT_THAT(RefusalOfCsv("0,1,2,3,0\n0,1,2,3\n"), AllOf(HasSubstr("row 2"), HasSubstr("expected 5")));
  EXPECT_THAT(RefusalOfCsv("0,1,2,17,0\n"), AllOf(HasSubstr("row 1"), HasSubstr("found 17")));
  EXPECT_THAT(RefusalOfCsv("0,1,2,-1,0\n"), HasSubstr("found -1"));
  EXPECT_THAT(RefusalOfCsv("0,1,2,0\n"), HasSubstr("h*h"));
  EXPECT_THAT(RefusalOfCsv("7\n"), HasSubstr("h*h"));
  EXPECT_THAT(RefusalOfCsv("0,1,,3,0\n"), HasSubstr("value 3"));
  EXPECT_THAT(RefusalOfCsv(""), HasSubstr("found 0 rows"));
}

TEST_F(ImageSetTest, RefusesACompressedFileThatIsCutOff) {
  const std::string bytes = ReadBytes(std::filesystem::path(LCSC_SOURCE_DIR) / "configs/data/digits.csv.gz");
  WriteBytes(folder_ / "x.csv.gz", bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(MessageOf<InputError>([&] { ReadImageSet(folder_ / "x.csv.gz"); }), HasSubstr("cut off"));
}

TEST_F(ImageSetTest, ReadsNpzBatchesWithAndWithoutLabels) {
  const at::Tensor nhwc = at::arange(2 * 3 * 4 * 3).to(at::kByte).reshape({2, 3, 4, 3});
  WriteNpz(folder_ / "x.npz", {{"arr_0", nhwc}});
  EXPECT_FALSE(ReadImageSet(folder_ / "x.npz").labels.defined());
  WriteNpz(folder_ / "x.npz", {{"arr_0", nhwc}, {"arr_1", at::tensor({4, 5}, at::kInt)}});
  const ImageSet set = ReadImageSet(folder_ / "x.npz");
  EXPECT_EQ(set.images.sizes(), (at::IntArrayRef{2, 3, 3, 4}));
  EXPECT_EQ(set.images[1][2][0][1].item<int>(), nhwc[1][0][1][2].item<int>());
  EXPECT_TRUE(at::equal(set.labels, at::tensor({4, 5}, at::kLong)));
}

TEST_F(ImageSetTest, RefusesNpzBatchesOfAnotherLayout) {
  WriteNpz(folder_ / "x.npz", {{"arr_0", at::zeros({2, 3, 4, 3})}});
  EXPECT_THAT(MessageOf<InputError>([&] { ReadImageSet(folder_ / "x.npz"); }),
              AllOf(HasSubstr("arr_0"), HasSubstr("Float")));
  WriteNpz(folder_ / "x.npz", {{"arr_0", at::zeros({2, 3, 4, 3}, at::kByte)}, {"arr_1", at::zeros({3}, at::kLong)}});
  EXPECT_THAT(MessageOf<InputError>([&] { ReadImageSet(folder_ / "x.npz"); }), HasSubstr("expected 2 integer labels"));
}

TEST_F(ImageSetTest, ReadsAFolderInTheOrderOfTheNames) {
  for (const int i : {2, 0, 1}) {
    WritePng(folder_ / ("000" + std::to_string(i) + ".png"), at::full({1, 2, 2}, i, at::kByte));
  }
  WriteBytes(folder_ / "readme.txt", "ignored");
  const ImageSet set = ReadImageSet(folder_.path());
  ASSERT_EQ(set.images.sizes(), (at::IntArrayRef{3, 1, 2, 2}));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(set.images[i][0][0][0].item<int>(), i);
}

TEST_F(ImageSetTest, RefusesAFolderOfDifferentSizesOrOfNone) {
  EXPECT_THAT(MessageOf<InputError>([&] { ReadImageSet(folder_.path()); }), HasSubstr("found none"));
  WritePng(folder_ / "a.png", at::zeros({1, 2, 2}, at::kByte));
  WritePng(folder_ / "b.png", at::zeros({3, 2, 2}, at::kByte));
  EXPECT_THAT(MessageOf<InputError>([&] { ReadImageSet(folder_.path()); }),
              AllOf(HasSubstr("b.png"), HasSubstr("[1, 2, 2]"), HasSubstr("[3, 2, 2]")));
}

TEST_F(ImageSetTest, ReadsNpzByKey) {
  const at::Tensor nhwc = at::arange(2 * 3 * 4 * 3).to(at::kByte).reshape({2, 3, 4, 3});
  WriteNpz(folder_ / "x.npz", {{"faces", nhwc}});
  EXPECT_TRUE(at::equal(ReadImageSet(folder_ / "x.npz", "faces").images, nhwc.permute({0, 3, 1, 2})));
  EXPECT_THAT(MessageOf<InputError>([&] { ReadImageSet(folder_ / "x.npz"); }), HasSubstr("arr_0"));
}

TEST_F(ImageSetTest, ReadsSafetensorsByKeyAndByWhatIsThere) {
  const at::Tensor images = at::arange(2 * 3 * 2 * 2).to(at::kByte).reshape({2, 3, 2, 2});
  WriteSafetensors(folder_ / "x.safetensors", {{"faces", images}, {"scores", at::zeros({2, 3, 2, 2})}});
  EXPECT_TRUE(at::equal(ReadImageSet(folder_ / "x.safetensors").images, images));
  WriteSafetensors(folder_ / "x.safetensors", {{"images", images}, {"masks", 255 - images}});
  EXPECT_TRUE(at::equal(ReadImageSet(folder_ / "x.safetensors").images, images));
  EXPECT_TRUE(at::equal(ReadImageSet(folder_ / "x.safetensors", "masks").images, 255 - images));
}

TEST_F(ImageSetTest, RefusesSafetensorsWithoutOneSetOfImages) {
  const auto refusal = [&](const NamedTensors& tensors, const std::string& key) {
    WriteSafetensors(folder_ / "x.safetensors", tensors);
    return MessageOf<InputError>([&] { ReadImageSet(folder_ / "x.safetensors", key); });
  };
  const at::Tensor images = at::zeros({1, 3, 2, 2}, at::kByte);
  EXPECT_THAT(refusal({{"a", images}, {"b", images}}, ""), AllOf(HasSubstr("[a, b]"), HasSubstr("--key")));
  EXPECT_THAT(refusal({{"a", at::zeros({1, 3, 2, 2})}}, ""), HasSubstr("found none"));
  EXPECT_THAT(refusal({{"a", images}}, "b"), AllOf(HasSubstr("\"b\""), HasSubstr("[a]")));
  EXPECT_THAT(refusal({{"a", images[0]}}, "a"), HasSubstr("[3, 2, 2]"));
  WriteBytes(folder_ / "x.csv", "0,16,8,1,3\n");
  EXPECT_THAT(MessageOf<InputError>([&] { ReadImageSet(folder_ / "x.csv", "a"); }), HasSubstr("leave it out"));
}

TEST_F(ImageSetTest, RefusesOtherFilesByName) {
  EXPECT_THAT(MessageOf<InputError>([] { ReadImageSet("/nowhere.csv"); }), HasSubstr("/nowhere.csv"));
  WriteBytes(folder_ / "x.jpg", "");
  EXPECT_THAT(MessageOf<InputError>([&] { ReadImageSet(folder_ / "x.jpg"); }), HasSubstr(".npz"));
}

}  // namespace
}  // namespace lcsc
