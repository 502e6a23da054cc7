#include "lcsc/merge/merger.h"

#include "lcsc/base/error.h"
#include "merge_kernel.h"

namespace lcsc {

Merger::Merger(Shard shard) : shard_(std::move(shard)) {
  LCSC_CHECK(shard_.base.is_contiguous() && shard_.deltas.is_contiguous());
  LCSC_CHECK(shard_.base.numel() == num_parameters() && shard_.deltas.size(1) == num_parameters());
}

void Merger::Merge(std::span<const double> coefficients, std::span<float> out) const {
  MergeBatch({&coefficients, 1}, {&out, 1});
}

void Merger::MergeBatch(std::span<const std::span<const double>> coefficients,
                        std::span<const std::span<float>> outs) const {
  MergeRowsInto(RowsOf(shard_), coefficients, outs);
}

}  // namespace lcsc
