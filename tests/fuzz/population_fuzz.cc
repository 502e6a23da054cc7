// population.h5. The first byte chooses a sound snapshot, the others are edits of it (hdf5_edits.h); then it gets a
// right digest.
#include "fuzz_target.h"
#include "hdf5_edits.h"
#include "lcsc/base/digest.h"
#include "lcsc/state/run_directory.h"

namespace lcsc {
namespace {

constexpr std::string_view kDigestMark = "lcsc digest ";

EvaluatedCandidate Member(std::int64_t id) {
  EvaluatedCandidate member;
  member.candidate.id = id;
  member.candidate.generation = id / 2;
  member.candidate.parents = {0, 1};
  member.candidate.coefficients = {0.5, 0.25 * static_cast<double>(id), -1};
  member.outcome.metrics = {{"fid", 1.5}, {"kid", 0.25 * static_cast<double>(id)}};
  if (id == 1) {
    member.outcome.failure = "non-finite images";
  } else {
    member.outcome.score = 1.0 / static_cast<double>(id + 1);
  }
  return member;
}

PopulationSnapshot Common() {
  PopulationSnapshot snapshot;
  snapshot.identity = {{"search.seed", "3"}, {"digest of evaluation.trajectory", "abc"}};
  snapshot.planned_evaluations = 9;
  for (std::int64_t id = 0; id < 3; ++id) snapshot.population.push_back(Member(id));
  return snapshot;
}

PopulationSnapshot Generational() {
  PopulationSnapshot snapshot = Common();
  snapshot.population[0].candidate.ema_rate = 0.99;
  snapshot.population[2].candidate.wants_gradient = true;
  snapshot.population[2].candidate.noise_block = 1;
  snapshot.population[2].outcome.gradient = {0, 1e-200, -2.5};
  return snapshot;
}

PopulationSnapshot SteadyState() {
  PopulationSnapshot snapshot = Common();
  for (std::int64_t id = 0; id < 3; ++id) {
    snapshot.population[static_cast<std::size_t>(id)].candidate.seen = id;
    snapshot.population[static_cast<std::size_t>(id)].order = 2 - id;
  }
  snapshot.in_flight = {Member(3).candidate, Member(4).candidate};
  snapshot.accusations = {{4, "SIGSEGV in stage sample"}};
  return snapshot;
}

// The HDF5 file, without the digest behind it.
std::string Hdf5Of(const PopulationSnapshot& snapshot) {
  const auto path = FileOf("population.h5", nullptr, 0);
  PublishPopulation(path, snapshot);
  const std::string bytes = ReadBytes(path);
  return bytes.substr(0, bytes.rfind(kDigestMark));
}

void ExpectConsistent(const PopulationSnapshot& snapshot) {
  const auto& population = snapshot.population;
  const std::size_t num_checkpoints = population.empty() ? 0 : population.front().candidate.coefficients.size();
  for (const auto& [candidate, outcome, order] : population) {
    Expect(!outcome.score || std::isfinite(*outcome.score), "scores are finite");
    Expect(candidate.coefficients.size() == num_checkpoints, "every candidate has K coefficients");
    Expect(outcome.gradient.empty() || outcome.gradient.size() == num_checkpoints, "a gradient has K components");
  }
}

}  // namespace
}  // namespace lcsc

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lcsc;
  static const std::string generational = Hdf5Of(Generational()), steady_state = Hdf5Of(SteadyState());
  if (size == 0) return 0;
  const std::string body = EditHdf5(data[0] % 2 == 0 ? generational : steady_state, TextOf(data + 1, size - 1));
  const std::string content = body + std::string(kDigestMark) + DigestOf(body) + "\n";
  const auto path = FileOf("population.h5", reinterpret_cast<const std::uint8_t*>(content.data()), content.size());
  return AllowRefusal([&] { ExpectConsistent(ReadPopulation(path)); });
}
