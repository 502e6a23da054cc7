#include "streaming_merger.h"

#include <algorithm>
#include <vector>

#include "lcsc/base/error.h"
#include "merge_kernel.h"
#include "project_rows.h"

namespace lcsc {
namespace {

// The numbers of a block's columns among those of the whole range.
template <typename Number>
std::span<Number> PartOf(std::span<Number> values, ParameterRange block, ParameterRange whole) {
  return values.subspan(static_cast<std::size_t>(block.begin - whole.begin), static_cast<std::size_t>(block.size()));
}

}  // namespace

StreamingMerger::StreamingMerger(const Trajectory& trajectory, ParameterRange range, std::int64_t block_columns)
    : trajectory_(trajectory), range_(range), block_columns_(block_columns), reader_(trajectory_) {
  LCSC_CHECK(block_columns > 0);
  const ParameterRange first{range.begin, std::min(range.begin + block_columns, range.end)};
  for (Buffer& buffer : buffers_) {
    buffer.shard = MakeShard(trajectory_, first);
    buffer.base = buffer.shard.base;
    buffer.deltas = buffer.shard.deltas.flatten();
  }
}

void StreamingMerger::MergeBatch(std::span<const std::span<const double>> coefficients,
                                 std::span<const std::span<float>> outs) {
  LCSC_CHECK(coefficients.size() == outs.size());
  for (std::size_t i = 0; i < outs.size(); i += kMaxBatch) {
    const std::size_t size = std::min<std::size_t>(kMaxBatch, outs.size() - i);
    MergePass(coefficients.subspan(i, size), outs.subspan(i, size));
  }
}

void StreamingMerger::MergePass(std::span<const std::span<const double>> coefficients,
                                std::span<const std::span<float>> outs) {
  for (const std::span<float> out : outs) LCSC_CHECK(static_cast<std::int64_t>(out.size()) == range_.size());
  ForEachBlock([&](const Shard& block) {
    std::vector<std::span<float>> block_outs;
    for (const std::span<float> out : outs) block_outs.push_back(PartOf(out, block.range, range_));
    MergeRowsInto(RowsOf(block), coefficients, block_outs);
  });
}

std::vector<double> StreamingMerger::Project(std::span<const double> gradient) {
  LCSC_CHECK(static_cast<std::int64_t>(gradient.size()) == range_.size());
  std::vector<double> sums(static_cast<std::size_t>(trajectory_.num_checkpoints()));
  ForEachBlock([&](const Shard& block) { ProjectRows(block, PartOf(gradient, block.range, range_), sums); });
  return sums;
}

void StreamingMerger::ForEachBlock(const std::function<void(const Shard& block)>& use) {
  const std::lock_guard lock(in_turn_);
  // Its end waits for the reader when an error ends the pass.
  std::future<void> reading = StartReading(range_.begin);
  for (std::int64_t begin = range_.begin; begin < range_.end; begin += block_columns_) {
    reading.get();
    if (begin + block_columns_ < range_.end) reading = StartReading(begin + block_columns_);
    use(BufferOf(begin).shard);
  }
}

StreamingMerger::Buffer& StreamingMerger::BufferOf(std::int64_t begin) {
  return buffers_[static_cast<std::size_t>((begin - range_.begin) / block_columns_ % 2)];
}

std::future<void> StreamingMerger::StartReading(std::int64_t begin) {
  Buffer& buffer = BufferOf(begin);
  const ParameterRange range{begin, std::min(begin + block_columns_, range_.end)};
  const std::int64_t num_rows = trajectory_.num_checkpoints() - 1, size = range.size();
  buffer.shard.range = range;
  buffer.shard.base = buffer.base.narrow(0, 0, size);
  buffer.shard.deltas = buffer.deltas.narrow(0, 0, num_rows * size).view({num_rows, size});
  return std::async(std::launch::async, [this, &buffer] { reader_.Read(buffer.shard); });
}

}  // namespace lcsc
