// Evaluation groups: the worker ranks 1..W, divided into groups of neighbours; rank 0 is the master.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "lcsc/comm/collective.h"
#include "lcsc/comm/collective_choice.h"
#include "lcsc/comm/mpi_session.h"

namespace lcsc {

struct GroupLayout {
  int num_groups = 1;
  int group_size = 1;
  std::vector<int> group_of;  // by world rank; -1 for the master
  std::vector<int> leaders;   // world rank of each group's leader
};

// A group's ranks are neighbours on one node wherever a node has enough workers left; what is left over on several
// nodes forms groups across them. nodes: a number for the node of each world rank. Groups are numbered by their
// leaders. REQUIRES: at least two ranks. Throws ConfigError when group_size does not divide the number of workers.
GroupLayout PlanGroups(std::span<const int> nodes, std::int64_t group_size);
// The same for this job's nodes. Collective over all ranks; throws on all of them or on none.
GroupLayout PlanGroups(const World& world, std::int64_t group_size);

// This worker's group. Collective over all ranks, the master included, which gets nullptr. Throws as
// MakeGroupCollective does, on all ranks of a group or on none.
std::unique_ptr<Collective> JoinGroup(const World& world, const GroupLayout& layout,
                                      CollectiveKind kind = CollectiveKind::kMpi);

// Which of the workers on its node this rank is, from 0.
int NodeLocalWorker(const World& world);

// All ranks, the first as leader, as one group; one rank alone gets the local form. Collective.
std::unique_ptr<Collective> JoinWorld(const World& world);

// Whether rank 0 of several computes or only hands out work.
enum class RankZero { kMaster, kWorks };

// Arithmetic threads for this rank: `requested` if > 0, else the cores that this process may use (or as many as its
// control group's quota pays for), divided by the ranks that compute on the same cores.
int ThreadsPerRank(const World& world, std::int64_t requested, RankZero rank_zero = RankZero::kMaster);

}  // namespace lcsc
