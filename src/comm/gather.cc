#include "lcsc/comm/gather.h"

#include <limits>
#include <numeric>

namespace lcsc {

std::vector<std::string> GatherTexts(const World& world, const std::string& text) {
  if (world.world_size == 1) return {text};
  const auto num_ranks = static_cast<std::size_t>(world.world_size);
  const auto own_length = static_cast<std::int64_t>(text.size());
  std::vector<std::int64_t> lengths(num_ranks);
  LCSC_MPI_CHECK(MPI_Allgather(&own_length, 1, MPI_INT64_T, lengths.data(), 1, MPI_INT64_T, MPI_COMM_WORLD));
  const std::int64_t total = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  LCSC_CHECK(total <= std::numeric_limits<int>::max());  // MPI counts in int
  const std::vector<int> counts(lengths.begin(), lengths.end());
  std::vector<int> offsets(num_ranks);
  std::exclusive_scan(counts.begin(), counts.end(), offsets.begin(), 0);
  std::string all(static_cast<std::size_t>(total), '\0');
  LCSC_MPI_CHECK(MPI_Allgatherv(text.data(), counts[static_cast<std::size_t>(world.world_rank)], MPI_CHAR, all.data(),
                                counts.data(), offsets.data(), MPI_CHAR, MPI_COMM_WORLD));
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < num_ranks; ++i) {
    texts.push_back(all.substr(static_cast<std::size_t>(offsets[i]), static_cast<std::size_t>(counts[i])));
  }
  return texts;
}

void GatherTextsToMaster(const World& world, const std::string& text,
                         const std::function<void(const std::string& text)>& take) {
  constexpr int kTag = 100;  // beside MessageTag's
  LCSC_CHECK(text.size() <= std::numeric_limits<int>::max());
  if (world.world_rank != 0) {
    LCSC_MPI_CHECK(MPI_Send(text.data(), static_cast<int>(text.size()), MPI_CHAR, 0, kTag, MPI_COMM_WORLD));
    return;
  }
  take(text);
  for (int rank = 1; rank < world.world_size; ++rank) {
    MPI_Status status;
    LCSC_MPI_CHECK(MPI_Probe(rank, kTag, MPI_COMM_WORLD, &status));
    int size = 0;
    LCSC_MPI_CHECK(MPI_Get_count(&status, MPI_CHAR, &size));
    std::string received(static_cast<std::size_t>(size), '\0');
    LCSC_MPI_CHECK(MPI_Recv(received.data(), size, MPI_CHAR, rank, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE));
    take(received);
  }
}

}  // namespace lcsc
