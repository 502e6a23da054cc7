// The other direction of a merge: the derivatives of the weights -> those of the coefficients.
#pragma once

#include <span>

#include "lcsc/store/shard_reader.h"

namespace lcsc {

// sums[i] += sum_j delta[i - 1][j] gradient[j] in float64, i = 1, ..., K - 1; sums[0], which belongs to the implied
// a_1, stays. One pass over the shard, block by block of columns: the same bits whatever the number of threads.
//   gradient: [shard.range.size()]. sums: [K].
void ProjectRows(const Shard& shard, std::span<const double> gradient, std::span<double> sums);

}  // namespace lcsc
