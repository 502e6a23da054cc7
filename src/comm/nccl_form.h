// The seam to NCCL: nccl_collective_cuda.cc in builds with it, nccl_absent.cc in others.
#pragma once

#include <memory>

#include "lcsc/comm/collective.h"

namespace lcsc {

// AllGather and ReduceToLeader over NCCL, the rest over MPI. AllGather takes vectors in host memory, which go over the
// bus both ways, and vectors on `device`, which do not leave the GPUs.
//   group: an MPI communicator that lives until MPI ends. device: CUDA's number, another GPU on every rank.
// Threads: a collective and its duplicate may be used by one thread each, as with MPI: each has a communicator and a
// stream of its own, and so few channels that the kernels of both find room on the GPU together.
// Collective over the group. Throws CommError when NCCL does not start within two minutes, DeviceError.
std::unique_ptr<Collective> MakeNcclCollective(MPI_Comm group, int device);

}  // namespace lcsc
