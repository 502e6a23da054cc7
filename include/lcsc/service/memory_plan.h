// What a rank of a group holds, and whether it fits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lcsc/comm/mpi_session.h"
#include "lcsc/config/run_options.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {

// Of one rank.
struct MemoryBudget {
  std::int64_t bytes = 0;  // 0: nothing is known, everything is held
  bool is_given = false;   // by the user; otherwise this rank's share of what its machine has left
};
// run.memory_budget, or nine tenths of the machine's available memory over the ranks on it.
MemoryBudget BudgetOf(const World& world, const RunOptions& run);

// All in bytes of host memory; 0 where nothing is held.
struct MemoryPlan {
  std::int64_t program = 0;     // before anything of the search was read
  std::int64_t shard = 0;       // base and deltas of this rank's part, or two blocks of them when streamed
  std::int64_t streamed = 0;    // read from the shard files at each merge; not held
  std::int64_t weights = 0;     // merged networks, one per slot, and what merging needs besides
  std::int64_t statistics = 0;  // of the samples and of the reference
  std::int64_t batch = 0;       // extractor, network and one batch on its way through them, as measured
  MemoryBudget budget;
  std::int64_t total() const { return program + shard + weights + statistics + batch; }
};
// One table for all ranks; ranks that hold the same share a row. Collective: rank 0 gets the text, the others "".
std::string DescribePlans(const World& world, const MemoryPlan& own);
// One line: the highest peak of any worker beside its plan. Collective: rank 0 gets the text, the others "".
std::string DescribePeak(const World& world, const MemoryPlan& own);

// run.group_size, or for 0 the smallest divisor of the workers whose ranks can hold their part of the trajectory beside
// the merged weights; 1 when none can and full weights are streamed. The same on every rank. Collective. Throws
// SetUpError when LoRA factors fit in no group, or the trajectory cannot be read.
std::int64_t ResolveGroupSize(const World& world, const RunOptions& run, const std::string& trajectory);

}  // namespace lcsc
