// In builds without NCCL.
#include "lcsc/base/error.h"
#include "lcsc/comm/collective_choice.h"
#include "nccl_form.h"

namespace lcsc {

RankGpu FindRankGpu(int) { return {}; }

std::unique_ptr<Collective> MakeNcclCollective(MPI_Comm, int) { LCSC_CHECK(false); }

}  // namespace lcsc
