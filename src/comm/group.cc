#include "lcsc/comm/group.h"

#include <algorithm>
#include <map>

#include "lcsc/base/cpu.h"
#include "lcsc/base/error.h"

namespace lcsc {

GroupLayout PlanGroups(std::span<const int> nodes, std::int64_t group_size) {
  LCSC_CHECK(nodes.size() >= 2 && group_size >= 1);
  const auto num_workers = static_cast<std::int64_t>(nodes.size()) - 1;
  if (num_workers % group_size != 0) {
    const std::int64_t whole_groups = std::max<std::int64_t>(1, num_workers / group_size);
    throw ConfigError(
        "run.group_size = {}: expected a divisor of the {} worker ranks (rank 0 is the master); start {} ranks, or "
        "choose another group size",
        group_size, num_workers, 1 + whole_groups * group_size);
  }
  std::map<int, std::vector<int>> workers_of;  // by node
  for (std::size_t rank = 1; rank < nodes.size(); ++rank) workers_of[nodes[rank]].push_back(static_cast<int>(rank));
  std::vector<std::vector<int>> groups;
  std::vector<int> left_over;
  const auto add_whole = [&](const std::vector<int>& ranks) {
    const std::size_t size = static_cast<std::size_t>(group_size), whole = ranks.size() / size * size;
    for (std::size_t i = 0; i < whole; i += size) {
      groups.emplace_back(ranks.begin() + static_cast<std::ptrdiff_t>(i),
                          ranks.begin() + static_cast<std::ptrdiff_t>(i + size));
    }
    return whole;
  };
  for (const auto& [node, workers] : workers_of) {
    left_over.insert(left_over.end(), workers.begin() + static_cast<std::ptrdiff_t>(add_whole(workers)), workers.end());
  }
  add_whole(left_over);
  std::ranges::sort(groups);
  GroupLayout layout{.num_groups = static_cast<int>(groups.size()),
                     .group_size = static_cast<int>(group_size),
                     .group_of = std::vector<int>(nodes.size(), -1),
                     .leaders = {}};
  for (const std::vector<int>& group : groups) {
    for (const int rank : group)
      layout.group_of[static_cast<std::size_t>(rank)] = static_cast<int>(layout.leaders.size());
    layout.leaders.push_back(group.front());
  }
  return layout;
}

GroupLayout PlanGroups(const World& world, std::int64_t group_size) {
  std::vector<int> nodes(static_cast<std::size_t>(world.world_size));
  LCSC_MPI_CHECK(MPI_Allgather(&world.node, 1, MPI_INT, nodes.data(), 1, MPI_INT, MPI_COMM_WORLD));
  return PlanGroups(nodes, group_size);
}

int NodeLocalWorker(const World& world) {
  const bool beside_master = world.world_size > 1 && world.node == 0;
  return world.node_local_rank - (beside_master ? 1 : 0);
}

std::unique_ptr<Collective> JoinGroup(const World& world, const GroupLayout& layout, CollectiveKind kind) {
  const bool is_master = world.world_rank == 0;
  const int group = is_master ? MPI_UNDEFINED : layout.group_of.at(static_cast<std::size_t>(world.world_rank));
  MPI_Comm communicator = MPI_COMM_NULL;
  LCSC_MPI_CHECK(MPI_Comm_split(MPI_COMM_WORLD, group, world.world_rank, &communicator));
  if (is_master) return nullptr;
  return MakeGroupCollective(communicator, FindRankGpu(NodeLocalWorker(world)), kind);
}

std::unique_ptr<Collective> JoinWorld(const World& world) {
  if (world.world_size == 1) return std::make_unique<LocalCollective>();
  MPI_Comm communicator = MPI_COMM_NULL;
  LCSC_MPI_CHECK(MPI_Comm_dup(MPI_COMM_WORLD, &communicator));
  return std::make_unique<MpiCollective>(communicator);
}

int ThreadsPerRank(const World& world, std::int64_t requested, RankZero rank_zero) {
  if (requested > 0) return static_cast<int>(requested);
  const bool master_idles = world.world_size > 1 && world.shares_with_master && rank_zero == RankZero::kMaster;
  const int sharing = std::max(1, world.ranks_sharing_cores - (master_idles ? 1 : 0));
  return std::max(1, UsableCores() / sharing);
}

}  // namespace lcsc
