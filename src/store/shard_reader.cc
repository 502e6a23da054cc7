#include "lcsc/store/shard_reader.h"

#include <algorithm>

#include "lcsc/base/error.h"
#include "shard_file.h"

namespace lcsc {
namespace {

ParameterRange Overlap(ParameterRange a, ParameterRange b) {
  return {std::max(a.begin, b.begin), std::min(a.end, b.end)};
}

// The address of element [row, column] of a contiguous matrix.
void* ElementAt(const at::Tensor& matrix, std::int64_t row, std::int64_t column) {
  return static_cast<char*>(matrix.data_ptr()) +
         static_cast<std::size_t>(row * matrix.size(1) + column) * matrix.element_size();
}

}  // namespace

Shard ReadShard(const Trajectory& trajectory, ParameterRange range, Verify verify) {
  LCSC_CHECK(0 <= range.begin && range.begin <= range.end && range.end <= trajectory.table.num_elements());
  const at::Tensor deltas =
      at::empty({trajectory.num_checkpoints() - 1, range.size()}, ScalarTypeOf(trajectory.storage));
  Shard shard{range, trajectory.storage, at::empty({range.size()}, at::kFloat), deltas};
  for (const ShardFile& file : trajectory.shards) {
    const ParameterRange part = Overlap(range, file.parameters);
    if (part.size() <= 0) continue;
    const ShardFileReader reader(trajectory, file);
    const std::int64_t column = part.begin - range.begin;
    if (file.checkpoints.begin == 0) reader.ReadBase(part, verify, shard.base.data_ptr<float>() + column);
    for (std::int64_t i = file.first_row_checkpoint(); i < file.checkpoints.end; ++i) {
      reader.ReadDelta(i, part, verify, ElementAt(deltas, i - 1, column));
    }
  }
  return shard;
}

at::Tensor ReadCheckpoint(const Trajectory& trajectory, std::int64_t index) {
  LCSC_CHECK(0 <= index && index < trajectory.num_checkpoints());
  const at::Tensor theta = at::empty({trajectory.table.num_elements()}, at::kFloat);
  const at::Tensor delta = at::zeros({1, trajectory.table.num_elements()}, ScalarTypeOf(trajectory.storage));
  for (const ShardFile& file : trajectory.shards) {
    const ParameterRange part = file.parameters;
    const bool has_base = file.checkpoints.begin == 0;
    const bool has_delta = index >= file.first_row_checkpoint() && index < file.checkpoints.end;
    if (!has_base && !has_delta) continue;
    const ShardFileReader reader(trajectory, file);
    if (has_base) reader.ReadBase(part, Verify::kWholeRows, theta.data_ptr<float>() + part.begin);
    if (has_delta) reader.ReadDelta(index, part, Verify::kWholeRows, ElementAt(delta, 0, part.begin));
  }
  return index == 0 ? theta : theta.add_(delta[0].to(at::kFloat));
}

void VerifyTrajectory(const std::filesystem::path& folder) {
  const Trajectory trajectory = ReadTrajectory(folder);
  if (trajectory.lora) OpenBaseModel(*trajectory.lora, folder);  // compares its digest
  for (const ShardFile& file : trajectory.shards) {
    const ShardFileReader reader(trajectory, file);
    const at::Tensor row = at::empty({file.parameters.size()}, at::kFloat);  // no storage type is wider
    if (file.checkpoints.begin == 0) reader.ReadBase(file.parameters, Verify::kWholeRows, row.data_ptr<float>());
    for (std::int64_t i = file.first_row_checkpoint(); i < file.checkpoints.end; ++i) {
      reader.ReadDelta(i, file.parameters, Verify::kWholeRows, row.data_ptr());
    }
  }
}

}  // namespace lcsc
