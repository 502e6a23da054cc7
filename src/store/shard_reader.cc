#include "lcsc/store/shard_reader.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <map>

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

// Asks for large pages, and does without where there are none.
void AdviseLargePages(const at::Tensor& tensor) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(tensor.data_ptr()), end = begin + tensor.nbytes();
  const std::uintptr_t first = (begin + page - 1) / page * page, last = end / page * page;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
}

// A part of a shard, read from one file.
void ReadPart(const ShardFileReader& reader, const ShardFile& file, Verify verify, Shard& shard) {
  const ParameterRange part = Overlap(shard.range, file.parameters);
  const std::int64_t column = part.begin - shard.range.begin;
  if (file.checkpoints.begin == 0) reader.ReadBase(part, verify, shard.base.data_ptr<float>() + column);
  for (std::int64_t i = file.first_row_checkpoint(); i < file.checkpoints.end; ++i) {
    reader.ReadDelta(i, part, verify, ElementAt(shard.deltas, i - 1, column));
  }
}

}  // namespace

Shard MakeShard(const Trajectory& trajectory, ParameterRange range) {
  LCSC_CHECK(0 <= range.begin && range.begin <= range.end && range.end <= trajectory.table.num_elements());
  const std::int64_t num_rows = trajectory.num_checkpoints() - 1;
  Shard shard{range, trajectory.storage, at::empty({range.size()}, at::kFloat),
              at::empty({num_rows, range.size()}, ScalarTypeOf(trajectory.storage))};
  AdviseLargePages(shard.deltas);
  return shard;
}

class ShardReader::OpenFiles {
 public:
  // The reader of a file that is open, or is opened now.
  const ShardFileReader& Of(const Trajectory& trajectory, const ShardFile& file) {
    auto& reader = readers_[&file];
    if (!reader) reader = std::make_unique<ShardFileReader>(trajectory, file);
    return *reader;
  }
  void Close(const ShardFile& file) { readers_.erase(&file); }

 private:
  std::map<const ShardFile*, std::unique_ptr<ShardFileReader>> readers_;
};

ShardReader::ShardReader(const Trajectory& trajectory)
    : trajectory_(trajectory), files_(std::make_unique<OpenFiles>()) {}

ShardReader::~ShardReader() = default;

void ShardReader::Read(Shard& shard, Verify verify) {
  LCSC_CHECK(shard.storage == trajectory_.storage && shard.base.is_contiguous() && shard.deltas.is_contiguous());
  LCSC_CHECK(shard.base.numel() == shard.range.size() && shard.deltas.size(1) == shard.range.size());
  LCSC_CHECK(shard.deltas.size(0) == trajectory_.num_checkpoints() - 1);
  for (const ShardFile& file : trajectory_.shards) {
    if (Overlap(shard.range, file.parameters).size() <= 0) {
      files_->Close(file);
    } else {
      ReadPart(files_->Of(trajectory_, file), file, verify, shard);
    }
  }
}

Shard ReadShard(const Trajectory& trajectory, ParameterRange range, Verify verify) {
  Shard shard = MakeShard(trajectory, range);
  for (const ShardFile& file : trajectory.shards) {
    if (Overlap(range, file.parameters).size() <= 0) continue;
    ReadPart(ShardFileReader(trajectory, file), file, verify, shard);
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
