#include "lcsc/store/hdf5.h"

#include <gmock/gmock.h>

#include <bit>
#include <cstdlib>

#include "lcsc/base/error.h"
#include "support/disk_full.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<double> kNumbers = {1.5, -2, 0.1, 4, 5, 6};

void FillExample(Hdf5Group& root) {
  root.WriteTextAttribute("format", "lcsc example");
  root.WriteTextAttribute("empty", "");
  root.WriteIntegerAttribute("version", -7);
  root.Write<double>("matrix", kNumbers, {2, 3});
  root.Write<std::int64_t>("none", {});
  Hdf5Group group = root.CreateGroup("group");
  group.WriteTexts("names", {"", "été", "long name"});
  group.WriteTexts("nobody", {});
  group.Write<std::uint64_t>("seeds", std::vector<std::uint64_t>{~std::uint64_t{0}, 1});
}

TEST(Hdf5Test, WhatIsPublishedIsReadBack) {
  const TempFolder folder;
  PublishHdf5(folder / "x.h5", FillExample);
  const Hdf5Group root = Hdf5Group::OpenFile(folder / "x.h5");
  EXPECT_EQ(root.ReadTextAttribute("format"), "lcsc example");
  EXPECT_EQ(root.ReadTextAttribute("empty"), "");
  EXPECT_EQ(root.ReadIntegerAttribute("version"), -7);
  const auto matrix = root.Read<double>("matrix");
  EXPECT_THAT(matrix.shape, ElementsAre(2, 3));
  EXPECT_EQ(matrix.values, kNumbers);
  EXPECT_THAT(root.Read<std::int64_t>("none").values, IsEmpty());
  const Hdf5Group group = root.OpenGroup("group");
  EXPECT_THAT(group.ReadTexts("names"), ElementsAre("", "été", "long name"));
  EXPECT_THAT(group.ReadTexts("nobody"), IsEmpty());
  EXPECT_THAT(group.Read<std::uint64_t>("seeds").values, ElementsAre(~std::uint64_t{0}, 1));
  EXPECT_TRUE(root.Contains("group"));
  EXPECT_FALSE(root.Contains("absent"));
}

TEST(Hdf5Test, BlocksOfEveryElementTypeKeepTheirBits) {
  const TempFolder folder;
  const std::vector<float> row32 = {1.0f, -0.0f, 3.4e38f};
  const std::vector<std::uint16_t> row16 = {0x3c00, 0x8000, 0x7bff};
  {
    Hdf5Group root = Hdf5Group::CreateFile(folder / "x.h5");
    root.CreateArray("f32", Hdf5Element::kFloat32, {2, 3});
    root.WriteBlock("f32", Hdf5Element::kFloat32, {{1, 0}, {1, 3}}, row32.data());
    for (const auto element : {Hdf5Element::kFloat16, Hdf5Element::kBFloat16}) {
      const char* const name = element == Hdf5Element::kFloat16 ? "f16" : "bf16";
      root.CreateArray(name, element, {2, 3});
      root.WriteBlock(name, element, {{1, 0}, {1, 3}}, row16.data());
    }
    root.Flush();
  }
  const Hdf5Group root = Hdf5Group::OpenFile(folder / "x.h5");
  std::vector<float> tail32(2);
  root.ReadBlock("f32", Hdf5Element::kFloat32, {{1, 1}, {1, 2}}, tail32.data());
  EXPECT_EQ(std::bit_cast<std::uint32_t>(tail32[0]), 0x80000000u);
  EXPECT_EQ(tail32[1], 3.4e38f);
  std::vector<std::uint16_t> all16(3);
  root.ReadBlock("f16", Hdf5Element::kFloat16, {{1, 0}, {1, 3}}, all16.data());
  EXPECT_EQ(all16, row16);
  root.ReadBlock("bf16", Hdf5Element::kBFloat16, {{1, 0}, {1, 3}}, all16.data());
  EXPECT_EQ(all16, row16);
  EXPECT_THAT(root.ShapeOf("f16"), ElementsAre(2, 3));
}

TEST(Hdf5Test, WhatIsMissingOrOfAnotherTypeIsNamed) {
  const TempFolder folder;
  PublishHdf5(folder / "x.h5", FillExample);
  const Hdf5Group root = Hdf5Group::OpenFile(folder / "x.h5");
  const auto expect_refusal = [](auto action, const char* name) {
    EXPECT_THAT(MessageOf<InputError>(action), AllOf(HasSubstr("x.h5"), HasSubstr(name)));
  };
  expect_refusal([&] { root.ReadTextAttribute("absent"); }, "absent");
  expect_refusal([&] { root.ReadTextAttribute("version"); }, "version");
  expect_refusal([&] { root.ReadIntegerAttribute("format"); }, "format");
  expect_refusal([&] { root.Read<double>("absent"); }, "absent");
  expect_refusal([&] { root.Read<std::int64_t>("matrix"); }, "matrix");
  expect_refusal([&] { root.ReadTexts("matrix"); }, "matrix");
  expect_refusal([&] { root.OpenGroup("absent"); }, "absent");
}

TEST(Hdf5Test, ReadingOutsideAnArrayFails) {
  const TempFolder folder;
  {
    Hdf5Group root = Hdf5Group::CreateFile(folder / "x.h5");
    root.CreateArray("f32", Hdf5Element::kFloat32, {1, 2});
    root.Flush();
  }
  float values[3];
  const Hdf5Group root = Hdf5Group::OpenFile(folder / "x.h5");
  EXPECT_THROW(root.ReadBlock("f32", Hdf5Element::kFloat32, {{0, 0}, {1, 3}}, values), InputError);
  EXPECT_THROW(root.ReadBlock("f32", Hdf5Element::kFloat16, {{0, 0}, {1, 2}}, values), InputError);
}

TEST(Hdf5Test, RefusesAMissingATruncatedAndAForeignFile) {
  const TempFolder folder;
  EXPECT_THAT(MessageOf<InputError>([] { Hdf5Group::OpenFile("/nowhere.h5"); }), HasSubstr("/nowhere.h5"));
  WriteBytes(folder / "text.h5", "no HDF5");
  EXPECT_THAT(MessageOf<InputError>([&] { Hdf5Group::OpenFile(folder / "text.h5"); }), HasSubstr("text.h5"));
  PublishHdf5(folder / "x.h5", FillExample);
  const std::string bytes = ReadBytes(folder / "x.h5");
  WriteBytes(folder / "cut.h5", bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(MessageOf<InputError>([&] { Hdf5Group::OpenFile(folder / "cut.h5"); }), HasSubstr("truncated"));
}

// A dataset "x" of three numbers with these properties.
void WriteDataset(const std::filesystem::path& path, const Hdf5Handle& creation) {
  const Hdf5Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
  const hsize_t size = 3;
  const Hdf5Handle space(H5Screate_simple(1, &size, nullptr));
  const Hdf5Handle dataset(
      H5Dcreate2(file.get(), "x", H5T_STD_I64LE, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT));
  ASSERT_GE(dataset.get(), 0);
}

// A few compressed bytes may stand for gigabytes, and a dataset may name any file of the machine as its own.
TEST(Hdf5Test, CompressedDatasetsAndThoseOfOtherFilesAreRefused) {
  const TempFolder folder;
  const hsize_t size = 3;
  const Hdf5Handle plain(H5Pcreate(H5P_DATASET_CREATE)), compressed(H5Pcreate(H5P_DATASET_CREATE)),
      elsewhere(H5Pcreate(H5P_DATASET_CREATE));
  ASSERT_GE(H5Pset_chunk(compressed.get(), 1, &size), 0);
  ASSERT_GE(H5Pset_deflate(compressed.get(), 6), 0);
  ASSERT_GE(H5Pset_external(elsewhere.get(), "/etc/hostname", 0, 24), 0);
  WriteDataset(folder / "x.h5", plain);
  EXPECT_EQ(Hdf5Group::OpenFile(folder / "x.h5").Read<std::int64_t>("x").values.size(), 3u);
  for (const Hdf5Handle* creation : {&compressed, &elsewhere}) {
    WriteDataset(folder / "x.h5", *creation);
    EXPECT_THAT(MessageOf<InputError>([&] { Hdf5Group::OpenFile(folder / "x.h5").Read<std::int64_t>("x"); }),
                AllOf(HasSubstr("x.h5"), HasSubstr("expected plain values")));
  }
}

TEST(Hdf5Test, AFullDiskKeepsThePublishedFile) {
  const TempFolder folder;
  PublishHdf5(folder / "x.h5", FillExample);
  const std::string before = ReadBytes(folder / "x.h5");
  {
    const DiskFull full(/*limit_bytes=*/4096);
    EXPECT_THROW(PublishHdf5(folder / "x.h5",
                             [](Hdf5Group& root) { root.Write<double>("big", std::vector<double>(10000, 1.0)); }),
                 IoError);
  }
  EXPECT_EQ(ReadBytes(folder / "x.h5"), before);
}

// More than a disk of 4096 bytes holds.
void WriteLargeFile(const std::filesystem::path& path) {
  Hdf5Group root = Hdf5Group::CreateFile(path);
  root.CreateArray("f32", Hdf5Element::kFloat32, {4, 100000});
  const std::vector<float> row(100000, 1.0f);
  for (hsize_t i = 0; i < 4; ++i) root.WriteBlock("f32", Hdf5Element::kFloat32, {{i, 0}, {1, 100000}}, row.data());
  root.Flush();
}

TEST(Hdf5Test, AFullDiskUnderALargeFileIsAnErrorThatTheProgramSurvives) {
  const TempFolder folder;
  {
    const DiskFull full(/*limit_bytes=*/4096);
    EXPECT_THAT(MessageOf<IoError>([&] { WriteLargeFile(folder / "x.h5"); }),
                AllOf(HasSubstr("x.h5"), HasSubstr("File too large")));
  }
  PublishHdf5(folder / "y.h5", FillExample);
  EXPECT_EQ(Hdf5Group::OpenFile(folder / "y.h5").ReadIntegerAttribute("version"), -7);
}

TEST(Hdf5DeathTest, AFullDiskLeavesTheExitCodeToTheProgram) {
  const TempFolder folder;
  const auto fail = [&] {
    const DiskFull full(/*limit_bytes=*/4096);
    const std::string message = MessageOf<IoError>([&] { WriteLargeFile(folder / "x.h5"); });
    std::exit(message.empty() ? 1 : 4);
  };
  EXPECT_EXIT(fail(), testing::ExitedWithCode(4), "");
}

}  // namespace
}  // namespace lcsc
