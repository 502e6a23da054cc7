#include "lcsc/base/atomic_file.h"

#include <gmock/gmock.h>

#include "lcsc/base/error.h"
#include "lcsc/base/fault_point.h"
#include "support/disk_full.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::ptrdiff_t CountFiles(const fs::path& folder) { return std::distance(fs::directory_iterator(folder), {}); }

TEST(PublishTextTest, MakesAndReplacesTheFile) {
  const TempFolder folder;
  PublishText(folder / "x", "first, which is longer");
  EXPECT_EQ(ReadBytes(folder / "x"), "first, which is longer");
  PublishText(folder / "x", std::string_view("a\0b", 3));
  EXPECT_EQ(ReadBytes(folder / "x"), std::string("a\0b", 3));
  EXPECT_EQ(CountFiles(folder.path()), 1);
}

TEST(PublishFileTest, AFailedWriterKeepsTheOldFileAndLeavesNoOther) {
  const TempFolder folder;
  PublishText(folder / "x", "old");
  const auto publish = [&] {
    PublishFile(folder / "x", [](const fs::path& temporary) {
      WriteBytes(temporary, "half of the n");
      throw InputError("the source is damaged");
    });
  };
  EXPECT_THAT(MessageOf<InputError>(publish), HasSubstr("the source is damaged"));
  EXPECT_EQ(ReadBytes(folder / "x"), "old");
  EXPECT_EQ(CountFiles(folder.path()), 1);
}

TEST(PublishFileTest, TheOldFileStaysUntilTheNewOneIsWhole) {
  const TempFolder folder;
  PublishText(folder / "x", "old");
  PublishFile(folder / "x", [&](const fs::path& temporary) {
    EXPECT_EQ(temporary.parent_path(), folder.path());
    WriteBytes(temporary, "new");
    EXPECT_EQ(ReadBytes(folder / "x"), "old");
  });
  EXPECT_EQ(ReadBytes(folder / "x"), "new");
}

TEST(PublishTextTest, AFullDiskKeepsTheOldFileAndLeavesNoOther) {
  const TempFolder folder;
  PublishText(folder / "x", "old");
  const std::string content(100'000, 'n');
  {
    const DiskFull full(/*limit_bytes=*/4096);
    EXPECT_THAT(MessageOf<IoError>([&] { PublishText(folder / "x", content); }), HasSubstr("free some space"));
  }
  EXPECT_EQ(ReadBytes(folder / "x"), "old");
  EXPECT_EQ(CountFiles(folder.path()), 1);
}

TEST(PublishTextTest, AMissingFolderIsNamed) {
  const TempFolder folder;
  EXPECT_THAT(MessageOf<IoError>([&] { PublishText(folder / "none/x", "text"); }), HasSubstr("none/x"));
}

TEST(PublishFileTest, AFolderInTheWayIsAnError) {
  const TempFolder folder;
  fs::create_directories(folder / "x/y");
  EXPECT_THAT(MessageOf<IoError>([&] { PublishText(folder / "x", "text"); }), HasSubstr("cannot rename"));
  EXPECT_EQ(CountFiles(folder.path()), 1);
}

TEST(CreateFolderTest, MakesParentsAndAcceptsAFolderThatIsThere) {
  const TempFolder folder;
  CreateFolder(folder / "a/b/c");
  EXPECT_NO_THROW(CreateFolder(folder / "a/b/c"));
  EXPECT_TRUE(fs::is_directory(folder / "a/b/c"));
}

TEST(CreateFolderTest, TheNamesOfNewFoldersReachTheDisk) {
  const TempFolder folder;
  int flushes = 0;
  SetFaultHook([&](const FaultSite& site) { flushes += site.name == "file.sync" ? 1 : 0; });
  CreateFolder(folder / "a/b/c/");
  EXPECT_EQ(flushes, 3) << "of the folder, a and b";
  CreateFolder(folder / "a/b/c");
  SetFaultHook(nullptr);
  EXPECT_EQ(flushes, 3) << "nothing is new";
}

TEST(CreateFolderTest, AFileInTheWayIsNamed) {
  const TempFolder folder;
  WriteBytes(folder / "a", "");
  for (const char* const name : {"a", "a/b"}) {
    EXPECT_THAT(MessageOf<IoError>([&] { CreateFolder(folder / name); }), HasSubstr((folder / name).string())) << name;
  }
}

TEST(SyncToDiskTest, AMissingFileIsNamed) {
  EXPECT_THAT(MessageOf<IoError>([] { SyncToDisk("/nowhere/x"); }), HasSubstr("/nowhere/x"));
}

}  // namespace
}  // namespace lcsc
