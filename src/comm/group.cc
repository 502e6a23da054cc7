#include "lcsc/comm/group.h"

#include <sched.h>

#include <algorithm>

#include "lcsc/base/error.h"

namespace lcsc {

GroupLayout PlanGroups(const World& world, std::int64_t group_size) {
  LCSC_CHECK(world.world_size >= 2);
  const std::int64_t num_workers = world.world_size - 1;
  if (num_workers % group_size != 0) {
    const std::int64_t whole_groups = std::max<std::int64_t>(1, num_workers / group_size);
    throw ConfigError(
        "run.group_size = {}: expected a divisor of the {} worker ranks (rank 0 is the master); start {} ranks, or "
        "choose "
        "another group size",
        group_size, num_workers, 1 + whole_groups * group_size);
  }
  return {.num_groups = static_cast<int>(num_workers / group_size), .group_size = static_cast<int>(group_size)};
}

std::unique_ptr<Collective> JoinGroup(const World& world, const GroupLayout& layout) {
  const bool is_master = world.world_rank == 0;
  const int group = is_master ? MPI_UNDEFINED : (world.world_rank - 1) / layout.group_size;
  MPI_Comm communicator = MPI_COMM_NULL;
  LCSC_MPI_CHECK(MPI_Comm_split(MPI_COMM_WORLD, group, world.world_rank, &communicator));
  if (is_master) return nullptr;
  return std::make_unique<MpiCollective>(communicator);
}

std::unique_ptr<Collective> JoinWorld(const World& world) {
  if (world.world_size == 1) return std::make_unique<LocalCollective>();
  MPI_Comm communicator = MPI_COMM_NULL;
  LCSC_MPI_CHECK(MPI_Comm_dup(MPI_COMM_WORLD, &communicator));
  return std::make_unique<MpiCollective>(communicator);
}

int ThreadsPerRank(const World& world, std::int64_t requested, RankZero rank_zero) {
  if (requested > 0) return static_cast<int>(requested);
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  const int usable = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
  const bool master_idles = world.world_size > 1 && world.shares_with_master && rank_zero == RankZero::kMaster;
  const int sharing = std::max(1, world.ranks_sharing_cores - (master_idles ? 1 : 0));
  return std::max(1, usable / sharing);
}

}  // namespace lcsc
