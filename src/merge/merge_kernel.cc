#include "merge_kernel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

// Columns of a piece of work for a thread.
constexpr std::int64_t kPieceColumns = 1024;
// Columns that several groups of candidates are merged from in turn: their rows stay in the second-level cache.
constexpr std::int64_t kSharedColumns = 256;

std::size_t BytesOf(StorageType storage) { return storage == StorageType::kFloat32 ? 4 : 2; }

MergeColumnsFunction FunctionFor(StorageType storage, const MergeInstructions& instructions) {
  switch (storage) {
    case StorageType::kFloat32:
      return instructions.float32;
    case StorageType::kFloat16:
      return instructions.float16;
    case StorageType::kBFloat16:
      return instructions.bfloat16;
  }
  LCSC_CHECK(false);
}

// Candidates whose sums are in registers together.
struct Group {
  std::vector<float> coefficients;  // [num_rows, outs.size()]
  std::vector<float*> outs;
};

// As few groups as possible, of about the same size.
std::vector<Group> GroupsOf(std::span<const std::span<const double>> coefficients,
                            std::span<const std::span<float>> outs, std::size_t max_candidates) {
  const std::size_t count = coefficients.size(), num_rows = coefficients.front().size() - 1;
  std::vector<Group> groups((count + max_candidates - 1) / max_candidates);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const std::size_t begin = count * i / groups.size(), end = count * (i + 1) / groups.size();
    for (std::size_t row = 0; row < num_rows; ++row) {
      for (std::size_t c = begin; c < end; ++c) {
        groups[i].coefficients.push_back(static_cast<float>(coefficients[c][row + 1]));
      }
    }
    for (std::size_t c = begin; c < end; ++c) groups[i].outs.push_back(outs[c].data());
  }
  return groups;
}

// One pass over the rows, for a batch of at most kMaxBatch candidates.
class Pass {
 public:
  Pass(const MergeRows& rows, std::vector<Group> groups, MergeColumnsFunction function)
      : rows_(rows), groups_(std::move(groups)), function_(function) {}

  void Run(std::int64_t begin, std::int64_t end) const {
    const std::int64_t whole_end = begin + (end - begin) / kColumnUnit * kColumnUnit;
    const std::int64_t step = groups_.size() == 1 ? whole_end - begin : kSharedColumns;
    for (std::int64_t i = begin; i < whole_end; i += step) {
      for (const Group& group : groups_) {
        std::vector<float*> outs = group.outs;
        for (float*& out : outs) out += i;
        MergeColumns columns = ColumnsFrom(i);
        columns.num_columns = std::min(step, whole_end - i);
        columns.more_behind = i + step + kSharedColumns <= whole_end;
        Call(columns, group, outs);
      }
    }
    if (whole_end < end) RunRest(whole_end, end);
  }

 private:
  MergeColumns ColumnsFrom(std::int64_t column) const {
    MergeColumns columns;
    columns.base = rows_.base + column;
    columns.deltas = static_cast<const char*>(rows_.deltas) + static_cast<std::size_t>(column) * BytesOf(rows_.storage);
    columns.row_stride = rows_.num_columns;
    columns.num_rows = rows_.num_rows;
    return columns;
  }

  void Call(MergeColumns& columns, const Group& group, const std::vector<float*>& outs) const {
    columns.coefficients = group.coefficients.data();
    columns.num_candidates = static_cast<std::int64_t>(outs.size());
    columns.outs = outs.data();
    function_(columns);
  }

  // Fewer than kColumnUnit columns: in copies that are filled up with zeros.
  void RunRest(std::int64_t begin, std::int64_t end) const {
    const auto size = static_cast<std::size_t>(end - begin), element_bytes = BytesOf(rows_.storage);
    const auto num_rows = static_cast<std::size_t>(rows_.num_rows);
    const MergeColumns source = ColumnsFrom(begin);
    std::vector<float> base(kColumnUnit);
    std::vector<char> deltas(num_rows * kColumnUnit * element_bytes);
    std::copy_n(source.base, size, base.data());
    for (std::size_t row = 0; row < num_rows; ++row) {
      const std::size_t offset = row * static_cast<std::size_t>(source.row_stride) * element_bytes;
      std::memcpy(deltas.data() + row * kColumnUnit * element_bytes, static_cast<const char*>(source.deltas) + offset,
                  size * element_bytes);
    }
    MergeColumns columns{.base = base.data(),
                         .deltas = deltas.data(),
                         .row_stride = kColumnUnit,
                         .num_rows = rows_.num_rows,
                         .num_columns = kColumnUnit};
    for (const Group& group : groups_) {
      std::vector<float> merged(group.outs.size() * kColumnUnit);
      std::vector<float*> outs;
      for (std::size_t c = 0; c < group.outs.size(); ++c) outs.push_back(merged.data() + c * kColumnUnit);
      Call(columns, group, outs);
      for (std::size_t c = 0; c < outs.size(); ++c) std::copy_n(outs[c], size, group.outs[c] + begin);
    }
  }

  const MergeRows& rows_;
  std::vector<Group> groups_;
  MergeColumnsFunction function_;
};

#if defined(__x86_64__)
void AddX86Instructions(std::vector<MergeInstructions>& available) {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    available.push_back(kAvx512Instructions);
  }
  // Every machine with AVX2 and FMA has the rest of x86-64-v3, F16C among it.
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) available.push_back(kAvx2Instructions);
}
#else
void AddX86Instructions(std::vector<MergeInstructions>&) {}
#endif

}  // namespace

std::vector<MergeInstructions> AvailableInstructions() {
  std::vector<MergeInstructions> available;
  AddX86Instructions(available);
  available.push_back(kGenericInstructions);
  return available;
}

const MergeInstructions& BestInstructions() {
  static const MergeInstructions best = AvailableInstructions().front();
  return best;
}

MergeRows RowsOf(const Shard& shard) {
  return {static_cast<const float*>(shard.base.data_ptr()), shard.deltas.data_ptr(), shard.storage,
          shard.deltas.size(0), shard.deltas.size(1)};
}

void MergeRowsInto(const MergeRows& rows, std::span<const std::span<const double>> coefficients,
                   std::span<const std::span<float>> outs, const MergeInstructions& instructions) {
  LCSC_CHECK(coefficients.size() == outs.size());
  for (std::size_t c = 0; c < outs.size(); ++c) {
    LCSC_CHECK(static_cast<std::int64_t>(coefficients[c].size()) == rows.num_rows + 1);
    LCSC_CHECK(static_cast<std::int64_t>(outs[c].size()) == rows.num_columns);
  }
  const std::size_t num_passes = (outs.size() + kMaxBatch - 1) / kMaxBatch;
  for (std::size_t i = 0; i < num_passes; ++i) {
    const std::size_t begin = outs.size() * i / num_passes, size = outs.size() * (i + 1) / num_passes - begin;
    const Pass pass(rows,
                    GroupsOf(coefficients.subspan(begin, size), outs.subspan(begin, size),
                             static_cast<std::size_t>(instructions.max_candidates)),
                    FunctionFor(rows.storage, instructions));
    const std::int64_t num_pieces = (rows.num_columns + kPieceColumns - 1) / kPieceColumns;
    at::parallel_for(0, num_pieces, /*grain_size=*/16, [&](std::int64_t first, std::int64_t last) {
      pass.Run(first * kPieceColumns, std::min(last * kPieceColumns, rows.num_columns));
    });
  }
}

}  // namespace lcsc
