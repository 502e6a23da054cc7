#include "lcsc/comm/collective_choice.h"

#include <type_traits>
#include <vector>

#include "lcsc/base/error.h"
#include "lcsc/comm/mpi_session.h"
#include "nccl_form.h"

namespace lcsc {
namespace {

// Ranks of the group, or -1.
struct Obstacle {
  int without_gpu = -1;
  int sharing = -1, shared_with = -1;
  bool any() const { return without_gpu >= 0 || sharing >= 0; }
};

Obstacle FindObstacle(std::span<const RankGpu> ranks) {
  Obstacle found;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (ranks[i].device < 0 && found.without_gpu < 0) found.without_gpu = static_cast<int>(i);
    for (std::size_t j = 0; j < i; ++j) {
      if (found.sharing >= 0 || ranks[i].device < 0 || ranks[j].device < 0 || ranks[i].uuid != ranks[j].uuid) continue;
      found.sharing = static_cast<int>(i);
      found.shared_with = static_cast<int>(j);
    }
  }
  return found;
}

[[noreturn]] void RefuseNccl(std::span<const RankGpu> ranks, const Obstacle& obstacle) {
  const auto advice = "start one rank per GPU, or use run.collective = auto";
  if (obstacle.without_gpu >= 0) {
    const RankGpu& rank = ranks[static_cast<std::size_t>(obstacle.without_gpu)];
    throw ConfigError(
        "run.collective = nccl: expected a GPU of its own for each of the group's {} ranks, found none for rank {} of "
        "the group, which sees {}; {}",
        ranks.size(), obstacle.without_gpu, rank.num_visible, advice);
  }
  throw ConfigError(
      "run.collective = nccl: expected a GPU of its own for each of the group's {} ranks, found that ranks {} and {} "
      "of the group have the same; {}",
      ranks.size(), obstacle.shared_with, obstacle.sharing, advice);
}

}  // namespace

int DeviceOfRank(int node_local_rank, int num_visible) {
  if (node_local_rank < num_visible) return node_local_rank;
  return num_visible == 1 ? 0 : -1;
}

CollectiveKind ChooseCollective(CollectiveKind requested, std::span<const RankGpu> ranks) {
  LCSC_CHECK(!ranks.empty());
  if (requested == CollectiveKind::kMpi) return CollectiveKind::kMpi;
  bool all_built = true;
  for (const RankGpu& rank : ranks) all_built = all_built && rank.nccl_is_built;
  const Obstacle obstacle = FindObstacle(ranks);
  if (requested == CollectiveKind::kNccl) {
    if (!all_built) {
      throw ConfigError(
          "run.collective = nccl: this lcsc was built without NCCL; use auto or mpi, or build the preset cuda");
    }
    if (obstacle.any()) RefuseNccl(ranks, obstacle);
    return CollectiveKind::kNccl;
  }
  return all_built && !obstacle.any() && ranks.size() > 1 ? CollectiveKind::kNccl : CollectiveKind::kMpi;
}

std::unique_ptr<Collective> MakeGroupCollective(MPI_Comm group, const RankGpu& own, CollectiveKind requested) {
  static_assert(std::is_trivially_copyable_v<RankGpu>);
  auto mpi = std::make_unique<MpiCollective>(group);
  std::vector<RankGpu> ranks(static_cast<std::size_t>(mpi->group_size()));
  LCSC_MPI_CHECK(
      MPI_Allgather(&own, sizeof own, MPI_BYTE, ranks.data(), static_cast<int>(sizeof own), MPI_BYTE, group));
  if (ChooseCollective(requested, ranks) == CollectiveKind::kMpi) return mpi;
  return MakeNcclCollective(group, own.device);
}

}  // namespace lcsc
