#include "lcsc/state/journal.h"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "state/snapshots.h"
#include "support/disk_full.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

namespace fs = std::filesystem;

class JournalTest : public ::testing::Test {
 protected:
  fs::path path() const { return folder_.path() / "journal-00000007.bin"; }

  // Six outcomes, so many bytes.
  std::int64_t WriteSix() const {
    JournalWriter writer(path(), 7);
    for (std::int64_t id = 0; id < 6; ++id) writer.Append(Member(id));
    writer.Sync();
    return writer.bytes();
  }

  std::string Bytes() const {
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // A journal of one record, with a right digest.
  void PutRecord(const std::string& payload) const {
    const auto bytes_of = [](std::int64_t number) {
      return std::string(reinterpret_cast<const char*>(&number), sizeof number);
    };
    const std::string record = bytes_of(0) + bytes_of(static_cast<std::int64_t>(payload.size())) + payload;
    Put("lcscJRNL" + bytes_of(1) + bytes_of(7) + record + DigestOf(bytes_of(7) + record));
  }
  void Put(const std::string& bytes) const { std::ofstream(path(), std::ios::binary) << bytes; }

  TempFolder folder_;
};

TEST_F(JournalTest, EveryKindOfEntryReadsBackBitForBit) {
  Candidate asked = Member(4).candidate;
  asked.seen = 3;
  const Accusation accusation = {4, "SIGSEGV in stage sample"};
  {
    JournalWriter writer(path(), 7);
    writer.Append(Member(0));
    writer.Append(asked);
    writer.Append(accusation);
    writer.Append(Member(1));
    writer.Sync();
  }
  const JournalContent journal = ReadJournal(path(), 7);
  EXPECT_EQ(journal.torn_bytes, 0);
  ASSERT_EQ(journal.entries.size(), 4u);
  ExpectEqual(std::get<EvaluatedCandidate>(journal.entries[0]), Member(0));
  EXPECT_EQ(std::get<Candidate>(journal.entries[1]), asked);
  EXPECT_EQ(std::get<Accusation>(journal.entries[2]), accusation);
  ExpectEqual(std::get<EvaluatedCandidate>(journal.entries[3]), Member(1));
}

// Whatever is cut off, what stands before it is read.
TEST_F(JournalTest, ATornTailIsDroppedAtEveryLength) {
  WriteSix();
  const std::string whole = Bytes();
  std::size_t most = 0;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    Put(whole.substr(0, length));
    const JournalContent journal = ReadJournal(path(), 7);
    ASSERT_LT(journal.entries.size(), 6u);
    ASSERT_GE(journal.entries.size(), most);
    most = journal.entries.size();
    for (std::size_t i = 0; i < most; ++i) {
      ExpectEqual(std::get<EvaluatedCandidate>(journal.entries[i]), Member(static_cast<std::int64_t>(i)));
    }
  }
  EXPECT_EQ(most, 5u);
}

TEST_F(JournalTest, AFlippedBitEndsItThere) {
  const auto bytes = static_cast<std::size_t>(WriteSix());
  const std::string whole = Bytes();
  ASSERT_EQ(whole.size(), bytes);
  constexpr std::size_t kHeaderBytes = 24;
  for (std::size_t at = kHeaderBytes; at < bytes; at += 7) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    Put(damaged);
    const JournalContent journal = ReadJournal(path(), 7);
    const std::size_t before = (at - kHeaderBytes) * 6 / (bytes - kHeaderBytes);
    EXPECT_LE(journal.entries.size(), before + 1);
    EXPECT_GE(journal.entries.size() + 1, before) << "what stands before is good";
    EXPECT_LT(journal.entries.size(), 6u);
    EXPECT_GT(journal.torn_bytes, 0);
  }
}

TEST_F(JournalTest, AnotherJournalAndANewerVersionAreRefused) {
  WriteSix();
  EXPECT_THROW(ReadJournal(path(), 8), InputError);
  std::string newer = Bytes();
  newer[8] = 2;
  Put(newer);
  EXPECT_THROW(ReadJournal(path(), 7), InputError);
  Put("something else that is long enough for a header");
  EXPECT_THROW(ReadJournal(path(), 7), InputError);
}

TEST_F(JournalTest, AFileTooLongForAJournalIsRefusedAndNotRead) {
  WriteSix();
  fs::resize_file(path(), std::uintmax_t{15} << 40);
  EXPECT_THROW(ReadJournal(path(), 7), InputError);
}

// Texts of indefinite length inside each other, with a right digest: the library's reader calls itself for each of
// them.
TEST_F(JournalTest, ARecordOfNestedTextsEndsItThereAndNotTheProgram) {
  PutRecord(std::string(1 << 20, '\x7f'));
  const JournalContent journal = ReadJournal(path(), 7);
  EXPECT_TRUE(journal.entries.empty());
  EXPECT_GT(journal.torn_bytes, 1 << 20);
}

TEST_F(JournalTest, ARealNumberIsNoCandidateId) {
  const nlohmann::json sound = {{"accused", 4}, {"reason", "SIGSEGV"}};
  nlohmann::json real = sound;
  real["accused"] = 1e24;
  for (const auto& [entry, count] : {std::pair(sound, 1u), {real, 0u}}) {
    const std::vector<std::uint8_t> cbor = nlohmann::json::to_cbor(entry);
    PutRecord({reinterpret_cast<const char*>(cbor.data()), cbor.size()});
    EXPECT_EQ(ReadJournal(path(), 7).entries.size(), count);
  }
}

TEST_F(JournalTest, AFullDiskLosesNothingThatWasSynced) {
  const std::int64_t six = WriteSix();
  {
    JournalWriter writer(path(), 7);
    const DiskFull full(static_cast<rlim_t>(six) - 20);
    EXPECT_THROW(
        {
          for (std::int64_t id = 0; id < 6; ++id) writer.Append(Member(id));
        },
        IoError);
  }
  const JournalContent journal = ReadJournal(path(), 7);
  EXPECT_EQ(journal.entries.size(), 5u);
  EXPECT_GT(journal.torn_bytes, 0);
}

}  // namespace
}  // namespace lcsc
