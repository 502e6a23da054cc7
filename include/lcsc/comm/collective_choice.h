// Whether a group's ranks talk through MPI or through NCCL.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "lcsc/comm/collective.h"

namespace lcsc {

// kAuto: NCCL when every rank of the group has a GPU of its own, else MPI.
enum class CollectiveKind { kAuto, kMpi, kNccl };

// What a rank knows of the GPU that it would use.
struct RankGpu {
  bool nccl_is_built = false;  // this program was built with CUDA and NCCL
  int num_visible = 0;         // GPUs that CUDA shows to this rank
  int device = -1;             // CUDA's number of this rank's, or -1
  std::array<std::uint8_t, 16> uuid{};
};

// CUDA's number of the GPU of the node's n-th computing rank, or -1: the n-th of those that it sees, or the only one,
// which a launcher may have set apart for it. Never shared by counting round.
int DeviceOfRank(int node_local_rank, int num_visible);

// This rank's GPU; nothing is allocated on it. One that does not answer is none. node_local_rank: among the ranks of
// the node that compute.
RankGpu FindRankGpu(int node_local_rank);

// kMpi or kNccl, the same on every rank that asks with the same arguments.
//   ranks: all ranks of the group, in order.
// kAuto takes MPI for a group of one, which has nothing to say. Throws ConfigError when kNccl is asked for and is not
// built in, or a rank has no GPU, or two ranks have the same one.
CollectiveKind ChooseCollective(CollectiveKind requested, std::span<const RankGpu> ranks);

// A group's collective in the form that ChooseCollective gives. own: of FindRankGpu. Collective over the group; throws
// ConfigError on all of its ranks or on none, CommError and DeviceError when NCCL does not start.
std::unique_ptr<Collective> MakeGroupCollective(MPI_Comm group, const RankGpu& own, CollectiveKind requested);

}  // namespace lcsc
