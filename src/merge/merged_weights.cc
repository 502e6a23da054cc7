#include "lcsc/merge/merged_weights.h"

#include <algorithm>

#include "lcsc/base/error.h"
#include "lcsc/merge/merger.h"
#include "lcsc/store/shard_reader.h"

namespace lcsc {

NamedTensors MergeCheckpoints(const Trajectory& trajectory, std::span<const double> coefficients) {
  constexpr std::int64_t kRange = 4 << 20;  // parameters
  if (coefficients.size() != trajectory.steps.size()) {
    throw ConfigError("coefficients: expected {}, one per checkpoint of the trajectory, found {}",
                      trajectory.steps.size(), coefficients.size());
  }
  const std::int64_t total = trajectory.table.num_elements();
  const at::Tensor flat = at::empty({total}, at::kFloat);
  for (std::int64_t begin = 0; begin < total; begin += kRange) {
    const std::int64_t end = std::min(begin + kRange, total);
    const Merger merger(ReadShard(trajectory, {begin, end}));
    merger.Merge(coefficients, {flat.data_ptr<float>() + begin, static_cast<std::size_t>(end - begin)});
  }
  NamedTensors tensors = trajectory.carried;
  for (const TensorEntry& entry : trajectory.table.entries()) {
    tensors[entry.name] =
        flat.slice(0, entry.offset, entry.offset + entry.num_elements()).view(entry.shape).to(ScalarTypeOf(entry.type));
  }
  return tensors;
}

}  // namespace lcsc
