#include "lcsc/io/png.h"

#include <gmock/gmock.h>

#include "lcsc/base/error.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<int> Values(const at::Tensor& image) {
  const at::Tensor flat = image.flatten().to(at::kInt);
  return {flat.data_ptr<int>(), flat.data_ptr<int>() + flat.numel()};
}

at::Tensor FromData(const char* name) { return ReadPng(std::filesystem::path(LCSC_SOURCE_DIR) / "tests/data" / name); }

TEST(PngTest, GrayAndRgbSurviveARoundTrip) {
  const TempFolder folder;
  for (const int channels : {1, 3}) {
    const at::Tensor image = at::arange(channels * 5 * 7).to(at::kByte).reshape({channels, 5, 7});
    WritePng(folder / "x.png", image);
    EXPECT_TRUE(at::equal(ReadPng(folder / "x.png"), image)) << channels;
    EXPECT_EQ(EncodePng(image), ReadBytes(folder / "x.png")) << channels;
  }
}

TEST(PngTest, OtherKindsBecomeEightBitsWithoutAlpha) {
  EXPECT_THAT(Values(FromData("palette.png")), ElementsAre(255, 0, 0, 0, 0, 255));  // red, blue
  EXPECT_THAT(Values(FromData("gray2.png")), ElementsAre(0, 85, 170, 255));
  EXPECT_THAT(Values(FromData("rgba16.png")), ElementsAre(0x12, 0x34, 0x56));
  EXPECT_THAT(Values(FromData("gamma.png")), ElementsAre(100, 200));
}

TEST(PngTest, RefusesWhatIsNoSoundImage) {
  const TempFolder folder;
  const auto path = folder / "x.png";
  WritePng(path, at::zeros({3, 8, 8}, at::kByte));
  const std::string bytes = ReadBytes(path);
  const auto refusal = [&](const std::string& content) {
    WriteBytes(path, content);
    return MessageOf<InputError>([&] { ReadPng(path); });
  };
  EXPECT_THAT(refusal("no image"), HasSubstr("x.png"));
  EXPECT_THAT(refusal(""), HasSubstr("x.png"));
  EXPECT_THAT(refusal(bytes.substr(0, bytes.size() - 20)), HasSubstr("x.png"));
  std::string flipped = bytes;
  flipped[bytes.find("IEND") - 8] ^= 4;  // the checksum of the pixels
  EXPECT_THAT(refusal(flipped), HasSubstr("CRC"));
  EXPECT_THAT(MessageOf<InputError>([] { ReadPng("/nowhere.png"); }), HasSubstr("/nowhere.png"));
}

TEST(PngTest, ASizeThatTheFileCannotHoldIsRefusedBeforeMemoryIsAskedFor) {
  // An honest header of 60000 x 60000 RGB pixels (with its checksum) and nothing behind it but an empty IDAT.
  const TempFolder folder;
  const std::string header(
      "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\xea\x60\x00\x00\xea\x60\x08\x02\x00\x00\x00\x0f\xb0\xe2\x15", 33);
  const std::string data("\x00\x00\x00\x00IDAT\x35\xaf\x06\x1e", 12);
  WriteBytes(folder / "x.png", header + data);
  EXPECT_THAT(MessageOf<InputError>([&] { ReadPng(folder / "x.png"); }), HasSubstr("60000 x 60000"));
}

TEST(ImageGridTest, PlacesScaledImagesRowByRowOnWhite) {
  const at::Tensor images = at::tensor({10, 20, 30}, at::kByte).reshape({3, 1, 1, 1});
  const at::Tensor grid = ImageGrid(images, {.columns = 2, .scale = 2, .padding = 1});
  EXPECT_EQ(grid.sizes(), (at::IntArrayRef{1, 7, 7}));
  const auto at_pixel = [&](int y, int x) { return grid[0][y][x].item<int>(); };
  EXPECT_EQ(at_pixel(1, 1), 10);
  EXPECT_EQ(at_pixel(2, 2), 10);
  EXPECT_EQ(at_pixel(1, 4), 20);
  EXPECT_EQ(at_pixel(4, 1), 30);
  EXPECT_EQ(at_pixel(0, 0), 255);
  EXPECT_EQ(at_pixel(3, 3), 255);
  EXPECT_EQ(at_pixel(4, 4), 255);  // the last row is not full
}

TEST(ImageGridTest, IsNoWiderThanItsImages) {
  const at::Tensor grid = ImageGrid(at::zeros({2, 3, 4, 4}, at::kByte), {.columns = 10, .scale = 1, .padding = 0});
  EXPECT_EQ(grid.sizes(), (at::IntArrayRef{3, 4, 8}));
}

}  // namespace
}  // namespace lcsc
