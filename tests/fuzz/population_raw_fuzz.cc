// population.h5 as bytes, only replayed: mutated bytes end in libhdf5 (docs/fuzzing.md). The first byte is `s` for an
// HDF5 file that then gets a right digest; anything else for a whole file.
#include "fuzz_target.h"
#include "lcsc/base/digest.h"
#include "lcsc/state/run_directory.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lcsc;
  if (size == 0) return 0;
  const std::string body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string content = data[0] == 's' ? body + "lcsc digest " + DigestOf(body) + "\n" : body;
  const auto path = FileOf("population.h5", reinterpret_cast<const std::uint8_t*>(content.data()), content.size());
  AllowRefusal([&] {
    const PopulationSnapshot snapshot = ReadPopulation(path);
    for (const EvaluatedCandidate& member : snapshot.population) {
      Expect(!member.outcome.score || std::isfinite(*member.outcome.score), "scores are finite");
    }
  });
  return 0;
}
