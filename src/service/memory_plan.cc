#include "lcsc/service/memory_plan.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lcsc/base/error.h"
#include "lcsc/base/memory.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/table.h"
#include "lcsc/comm/gather.h"
#include "lcsc/merge/weight_merger.h"

namespace lcsc {
namespace {

constexpr std::int64_t kSlots = 2;

constexpr std::size_t kTotal = 6;  // in JsonOf
nlohmann::json JsonOf(const MemoryPlan& plan) {
  return {plan.program,    plan.shard, plan.streamed, plan.weights,
          plan.statistics, plan.batch, plan.total(),  plan.budget.bytes};
}

std::string RanksText(const std::vector<std::size_t>& ranks) {
  if (ranks.size() == 1) return fmt::format("{}", ranks.front());
  if (ranks.back() - ranks.front() + 1 == ranks.size()) return fmt::format("{} to {}", ranks.front(), ranks.back());
  return fmt::format("{}", fmt::join(ranks, ", "));
}

bool Evaluates(const World& world, std::size_t rank) { return world.world_size == 1 || rank != 0; }

std::int64_t SmallestFittingGroup(const RunOptions& run, const Trajectory& trajectory, const World& world) {
  const std::int64_t budget = BudgetOf(world, run).bytes, workers = world.world_size - 1;
  const std::int64_t weights = kSlots * 4 * trajectory.table.num_elements();
  for (std::int64_t size = 1; size <= workers; ++size) {
    if (workers % size != 0) continue;
    const MergeMemory memory = MergeMemoryOf(trajectory, {0, static_cast<int>(size)}, {});
    if (budget == 0 || memory.held_bytes + memory.scratch_bytes + weights <= budget) return size;
  }
  if (!trajectory.lora) return 1;
  throw ConfigError(
      "run.group_size = 0: these LoRA factors fit in no group of the {} workers; give more memory or ranks", workers);
}

}  // namespace

MemoryBudget BudgetOf(const World& world, const RunOptions& run) {
  constexpr double kGibibyte = 1 << 30, kUsable = 0.9;
  if (run.memory_budget > 0) return {static_cast<std::int64_t>(run.memory_budget * kGibibyte), /*is_given=*/true};
  const double available = static_cast<double>(AvailableMemory()) * kUsable / std::max(1, world.node_local_size);
  return {static_cast<std::int64_t>(available), /*is_given=*/false};
}

std::string DescribePlans(const World& world, const MemoryPlan& own) {
  const std::vector<std::string> plans = GatherTexts(world, JsonOf(own).dump());
  if (world.world_rank != 0) return "";
  std::vector<std::pair<std::string, std::vector<std::size_t>>> rows;
  for (std::size_t rank = 0; rank < plans.size(); ++rank) {
    if (!Evaluates(world, rank) || nlohmann::json::parse(plans[rank]).at(kTotal) == 0) continue;
    const auto same = std::ranges::find(rows, plans[rank], &decltype(rows)::value_type::first);
    if (same == rows.end()) {
      rows.push_back({plans[rank], {rank}});
    } else {
      same->second.push_back(rank);
    }
  }
  if (rows.empty()) return "";
  Table table({"rank", "program", "shard", "streamed", "weights", "statistics", "batch", "total", "budget"});
  for (const auto& [text, ranks] : rows) {
    std::vector<std::string> cells = {RanksText(ranks)};
    for (const auto& bytes : nlohmann::json::parse(text)) cells.push_back(FormatBytes(bytes.get<double>()));
    table.AddRow(cells);
  }
  return table.ToString();
}

std::string DescribePeak(const World& world, const MemoryPlan& own) {
  const nlohmann::json mine = {ReadMemory().peak_bytes, own.total(), own.budget.bytes};
  const std::vector<std::string> all = GatherTexts(world, mine.dump());
  if (world.world_rank != 0) return "";
  std::size_t highest_rank = world.world_size == 1 ? 0 : 1;
  nlohmann::json highest = nlohmann::json::parse(all[highest_rank]);
  for (std::size_t rank = highest_rank + 1; rank < all.size(); ++rank) {
    const auto other = nlohmann::json::parse(all[rank]);
    if (other[0] > highest[0]) highest = other, highest_rank = rank;
  }
  if (highest[1] == 0) return "";
  return fmt::format("peak memory of a worker: {} (rank {}; planned {}, budget {})", FormatBytes(highest[0]),
                     highest_rank, FormatBytes(highest[1]), FormatBytes(highest[2]));
}

std::int64_t ResolveGroupSize(const World& world, const RunOptions& run, const std::string& trajectory) {
  if (run.group_size > 0) return run.group_size;
  if (world.world_size == 1) return 1;
  std::int64_t size = 0;
  AgreeOnSetUp(world, [&] {
    if (world.world_rank == 0) size = SmallestFittingGroup(run, ReadTrajectory(trajectory), world);
  });
  LCSC_MPI_CHECK(MPI_Bcast(&size, 1, MPI_INT64_T, 0, MPI_COMM_WORLD));
  return size;
}

}  // namespace lcsc
