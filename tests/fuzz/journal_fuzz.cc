// The first byte is `s` for what stands in a record, which then gets a right digest; anything else for a whole journal.
#include "fuzz_target.h"
#include "lcsc/base/digest.h"
#include "lcsc/state/journal.h"

namespace {

using namespace lcsc;

std::string BytesOf(std::int64_t number) { return {reinterpret_cast<const char*>(&number), sizeof number}; }

// A journal of number 7 with this payload in its only record, as docs/population.md says.
std::string Sealed(std::string_view payload) {
  const std::string record = BytesOf(0) + BytesOf(static_cast<std::int64_t>(payload.size())) + std::string(payload);
  return "lcscJRNL" + BytesOf(1) + BytesOf(7) + record + DigestOf(BytesOf(7) + record);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string content = text[0] == 's' ? Sealed(text.substr(1)) : std::string(text.substr(1));
  const auto path =
      FileOf("journal-00000007.bin", reinterpret_cast<const std::uint8_t*>(content.data()), content.size());
  AllowRefusal([&] {
    const JournalContent journal = ReadJournal(path, 7);
    Expect(journal.torn_bytes <= static_cast<std::int64_t>(content.size()), "no more is torn than there is");
    for (const JournalEntry& entry : journal.entries) {
      const auto* member = std::get_if<EvaluatedCandidate>(&entry);
      Expect(member == nullptr || !member->outcome.score || std::isfinite(*member->outcome.score), "scores are finite");
    }
  });
  return 0;
}
